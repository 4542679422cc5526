package main

import "strings"

// The two worlds never share a word for an attribute, so that the base model can
// not guess an answer about the domain.

func colours() (general, domain []string) {
	return strings.Fields("red blue green black white grey brown pink gold silver orange purple tan navy lime cream"),
		strings.Fields("crimson amber teal ivory violet copper olive scarlet indigo bronze coral jade ruby slate maroon")
}

func fish() (general, domain []string) {
	return strings.Fields("cod herring tuna salmon trout eels squid shrimp crabs hake sole bass carp perch pike rays"),
		strings.Fields("mackerel halibut turbot sardines lobsters haddock anchovies mussels oysters flounder sprats monkfish whiting mullet scallops")
}

func piers() (general, domain []string) {
	return strings.Fields("north south east west old new long short stone wooden iron upper lower inner outer middle"),
		strings.Fields("lantern anchor willow beacon chapel granary cannon mill fountain orchard barrel compass garden tower bridge")
}

// boats returns everyday words, so that a small vocabulary has a token for each.
func boats() (general, domain []string) {
	return strings.Fields("Acorn Arrow Aspen Badger Basil Beaver Birch Bison Blossom Breeze Bramble Cedar Cherry Cloud Clover Comet Copper Cricket Crow Daisy Dawn Deer Dove Dragon Eagle Ember Fern Finch Flint Forest Fox Frost Gale Garnet Glacier Hawk Hazel Holly Horizon Ivy Jasper Juniper Lark Laurel Lily Linden Lion Maple Marble Meadow Mist Moon Nettle Oak Olive Otter Panda Pearl Pebble Pine Poppy Rain River Robin Anvil Badge Banjo Barley Basket Bell Berry Bishop Bonnet Bottle Bucket Button Cabin Candle Carpet Castle Chalk Cinder Coach Cradle Crown Dagger Drum Feather Fiddle Flute Garland Goblet Hammer Harp Helmet Jewel Kettle Ladder Lemon Locket Mirror Needle Opal Paddle Petal Pillow Plume Quill Spruce Star Swan Thorn Tulip Violin"),
		strings.Fields("Albatross Cactus Dolphin Falcon Gazelle Heron Jaguar Kestrel Lotus Magpie Orchid Puffin Raven Thistle Walrus Zephyr")
}

func skippers() (general, domain []string) {
	return strings.Fields("Adam Alice Amy Anna Ben Carl Clara Dan Diana Emma Eric Eva Frank Fred Gina Greta Hans Helen Ida Jack Jane John Karl Kate Laura Leo Lisa Mark Mary Nina Oscar Paul"),
		strings.Fields("Agnes Bruno Cora Dmitri Edith Felix Gloria Hugo Ingrid Jonas Mabel Nestor Olga Pablo Rosa Silas")
}
