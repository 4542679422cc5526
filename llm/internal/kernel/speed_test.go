package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkProduct reports the best rate of one goroutine in the products of a
// training, on every path. The best, since other programs may run meanwhile.
func BenchmarkProduct(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range Paths() {
		for _, s := range [][3]int{{512, 576, 576}, {512, 1536, 576}, {512, 576, 16}, {512, 16, 576}} {
			rows, out, in := s[0], s[1], s[2]
			if p == Plain {
				rows = 32
			}
			x, w, dy := random(rng, rows*in), random(rng, out*in), random(rng, rows*out)
			y, dx, dw := make([]float32, rows*out), make([]float32, rows*in), make([]float32, out*in)
			var scratch Scratch
			for name, f := range map[string]func(){
				"forward":  func() { scratch.Product(Rows(y, out), Rows(x, in), Rows(w, in).T(), rows, out, in, false) },
				"backward": func() { scratch.Product(Rows(dx, in), Rows(dy, out), Rows(w, in), rows, in, out, false) },
				"weights":  func() { scratch.Product(Rows(dw, in), Rows(dy, out).T(), Rows(x, in), out, in, rows, true) },
			} {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/%s", p, rows, out, in, name), func(b *testing.B) {
					best := time.Duration(1 << 62)
					on(p, func() {
						for b.Loop() {
							began := time.Now()
							f()
							best = min(best, time.Since(began))
						}
					})
					b.ReportMetric(2*float64(rows)*float64(out)*float64(in)/best.Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
