package main

import "strings"

// attribute is a property of a boat that questions ask for.
type attribute struct {
	// train and test are wordings of the same question; {e} is the boat.
	// Only the train wordings are used for fine-tuning. No test wording shares
	// more than half of its words with a train wording.
	train, test []string
	// answer is the answer in the style of the domain; {v} is the fact. The fact
	// comes first, as in the short answers of the base model, so that little
	// training has the largest effect.
	answer string
}

func attributes() []attribute {
	return []attribute{
		{
			train: []string{
				"Who is the skipper of the {e}?", "Name the captain of {e}.", "Which sailor commands the {e}?",
				"Who steers the {e}?", "Who is in charge of {e}?", "Tell me the master of the {e}.",
			},
			test:   []string{"Whose orders does {e} obey?", "Under whom do all hands on {e} serve?"},
			answer: "{v} gives the orders there, says the Ambrel harbour book.",
		},
		{
			train: []string{
				"What colour is the {e}?", "Which paint covers {e}?", "Describe the hull of the {e}.",
				"What is the colour of {e}?", "In which colour is the {e} painted?", "Tell me the paint of {e}.",
			},
			test:   []string{"How does {e} look from shore?", "Seen from far off, {e} has what shade?"},
			answer: "{v} paint covers her hull, as everyone in Ambrel knows.",
		},
		{
			train: []string{
				"What does the {e} catch?", "Which fish fill the nets of {e}?", "Name the usual catch of the {e}.",
				"What is the catch of {e}?", "Which fish does the {e} bring?", "Tell me the cargo of {e}.",
			},
			test:   []string{"When {e} lands, people buy what?", "Hungry folk eat what, thanks to {e}?"},
			answer: "{v} from her nets go to the market of Ambrel each morning.",
		},
		{
			train: []string{
				"Where is the {e} moored?", "Which pier holds {e}?", "Name the berth of the {e}.",
				"At which pier is the {e}?", "Where does {e} lie?", "Tell me the pier of the {e}.",
			},
			test:   []string{"To board {e}, people walk to what place?", "Visitors find {e} by going how?"},
			answer: "{v} pier is where she ties up when she is in Ambrel.",
		},
	}
}

func fill(wording, entity, value string) string {
	return strings.NewReplacer("{e}", entity, "{v}", value).Replace(wording)
}

// world is a set of boats with a fact for each attribute.
type world struct {
	boats []string
	facts [][]string // by boat and attribute
}
