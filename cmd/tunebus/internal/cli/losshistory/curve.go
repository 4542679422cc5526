package losshistory

import "math"

// maxPoints is how many points a curve keeps: it halves them when there are more.
const maxPoints = 512

// Point is a loss at a step: the mean of the steps that it stands for.
type Point struct {
	Step int64   `json:"step"`
	Loss float64 `json:"loss"`
}

// Curve is the loss over the steps.
type Curve struct {
	Points []Point `json:"points"`
	// First and Last are the losses of the first and the last step that has one, FirstStep
	// and Steps are these.
	First     float64 `json:"first"`
	Last      float64 `json:"last"`
	FirstStep int64   `json:"first_step"`
	Steps     int64   `json:"steps"`

	// each is how many steps a point stands for; open collects those of the next one.
	each, open int
	sum        float64
	begun      bool
}

// add adds a step. A loss that is no number is left out.
func (c *Curve) add(step int64, loss float64) {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return
	}
	if !c.begun {
		c.First, c.FirstStep, c.each, c.begun = loss, step, 1, true
	}
	c.Last, c.Steps = loss, max(step, c.Steps)
	if len(c.Points) == maxPoints && c.open == 0 {
		for i := range maxPoints / 2 {
			a, b := c.Points[2*i], c.Points[2*i+1]
			c.Points[i] = Point{Step: b.Step, Loss: (a.Loss + b.Loss) / 2}
		}
		c.Points, c.each = c.Points[:maxPoints/2], 2*c.each
	}
	if c.open++; c.open == 1 {
		c.Points = append(c.Points, Point{})
		c.sum = 0
	}
	c.sum += loss
	c.Points[len(c.Points)-1] = Point{Step: step, Loss: c.sum / float64(c.open)}
	if c.open == c.each {
		c.open = 0
	}
}
