package judge

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// judgeRows judges rows in a window, as an evaluation does, and returns the
// samples in the order of the rows.
func judgeRows(t *testing.T, suite *Suite, rows, window int) *metric.Aggregate {
	t.Helper()
	samples := make([][]metric.Sample, rows)
	free := make(chan struct{}, window)
	var all sync.WaitGroup
	for i := range rows {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			r := row()
			r.Question = fmt.Sprint("question ", i)
			outcomes, err := suite.Score(t.Context(), r)
			if err != nil {
				t.Error(err)
			}
			samples[i] = Samples(outcomes)
		})
	}
	all.Wait()
	result := metric.NewAggregate(nil, suite.Names()...)
	for _, s := range samples {
		result.Add(s)
	}
	return result
}

// everyMetric are all metrics of one client.
func everyMetric(t *testing.T, c *Client) *Suite {
	t.Helper()
	var all []Metric
	for _, name := range Names() {
		m, err := New(name, c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return NewSuite(all...)
}

// goodJudge answers every prompt of every metric.
func goodJudge() *server {
	return &server{
		vectors:   map[string][]float64{"the-truth": {1, 0}, "the-answer": {1, 0}, "guess": {1, 0}},
		vector:    []float64{1, 0},
		remembers: true,
		chat: func(prompt string, n int) []string {
			answer := "4"
			switch {
			case strings.HasPrefix(prompt, claimsTask):
				answer = `{"claims": ["one"]}`
			case strings.HasPrefix(prompt, verifyTask):
				answer = `{"statements": [{"statement": "one", "reason": "r", "verdict": 1}]}`
			case strings.HasPrefix(prompt, statementsTask):
				answer = `{"statements": ["one"]}`
			case strings.HasPrefix(prompt, sortTask):
				answer = `{"TP": [{"statement": "one", "reason": "r"}], "FP": [], "FN": []}`
			case strings.HasPrefix(prompt, questionTask):
				answer = `{"question": "guess", "noncommittal": 0}`
			}
			answers := make([]string, n)
			for i := range answers {
				answers[i] = answer
			}
			return answers
		},
	}
}

func allScored(t *testing.T, got *metric.Aggregate, rows int) {
	t.Helper()
	for name, scored := range got.Scored() {
		if scored != rows {
			t.Errorf("%s: %d of %d rows have a score; %q", name, scored, rows, got.Notes())
		}
	}
	for name, score := range got.Result() {
		if score < 0.999 {
			t.Errorf("%s is %v", name, score)
		}
	}
}

// TestJudgeIsAwayForTwoMinutes: wherever in the evaluation the judge goes away, and
// however it is away, every row has its score.
func TestJudgeIsAwayForTwoMinutes(t *testing.T) {
	t.Parallel()
	const rows = 200
	for name, isAway := range map[string]func(s *server, until func() bool){
		"refuses connections": func(s *server, away func() bool) {
			s.away = func() error {
				if away() {
					return refused()
				}
				time.Sleep(time.Second)
				return nil
			}
		},
		"is loading": func(s *server, away func() bool) {
			s.away = func() error { time.Sleep(time.Second); return nil }
			s.refuse = func(int) int {
				if away() {
					return http.StatusServiceUnavailable
				}
				return 0
			}
		},
		"hangs": func(s *server, away func() bool) {
			s.away = func() error {
				time.Sleep(time.Second)
				for away() {
					time.Sleep(time.Second)
				}
				return nil
			}
		},
	} {
		for _, goes := range []time.Duration{0, 20 * time.Second} {
			t.Run(fmt.Sprint(name, " after ", goes), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := goodJudge()
					began := time.Now()
					isAway(s, func() bool { d := time.Since(began) - goes; return d >= 0 && d < 2*time.Minute })
					allScored(t, judgeRows(t, everyMetric(t, s.patient(t)), rows, 16), rows)
				})
			})
		}
	}
}

// tenWays are ways in which a call fails that succeeds when it is made again.
func tenWays() []func(s *server, w http.ResponseWriter) bool {
	status := func(code int, header, value string) func(*server, http.ResponseWriter) bool {
		return func(_ *server, w http.ResponseWriter) bool {
			w.Header().Set(header, value)
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			_, _ = w.Write([]byte("<html>no</html>"))
			return true
		}
	}
	body := func(kind, text string) func(*server, http.ResponseWriter) bool {
		return func(_ *server, w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(text))
			return true
		}
	}
	return []func(*server, http.ResponseWriter) bool{
		func(*server, http.ResponseWriter) bool { panic("the connection is cut") },
		func(*server, http.ResponseWriter) bool { time.Sleep(3 * time.Minute); return true }, // longer than the timeout
		status(http.StatusTooManyRequests, "Retry-After", "3"),
		status(http.StatusInternalServerError, "X", "y"),
		status(http.StatusBadGateway, "Retry-After", "Thu, 02 Jan 2000 03:04:15 GMT"),
		status(http.StatusServiceUnavailable, "X", "y"),
		body("text/html", "<html>a proxy says welcome</html>"),
		body("application/json", `{"choices": [{"index": 0, "mess`),
		body("application/json", `{"choices": [], "data": [], "usage": {}}`),
		body("application/json", `{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "I would rather not."}}], "data": [{"index": 0, "embedding": [0, 0]}]}`),
	}
}

// TestJudgeFailsInTenWays: 30 % of the calls fail; every row has its score.
func TestJudgeFailsInTenWays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := goodJudge()
		ways := tenWays()
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		failed := make([]int, len(ways))
		s.fault = func(_ int, w http.ResponseWriter) bool {
			mu.Lock()
			way := -1
			if random.Float64() < 0.3 {
				way = random.IntN(len(ways))
				failed[way]++
			}
			mu.Unlock()
			return way >= 0 && ways[way](s, w)
		}
		const rows = 100
		got := judgeRows(t, everyMetric(t, s.patient(t)), rows, 16)
		allScored(t, got, rows)
		for way, n := range failed {
			if n < 20 {
				t.Errorf("way %d was taken %d times", way, n)
			}
		}
	})
}

// TestJudgeStaysBroken: a metric is given up in bounded time, whatever breaks, and
// every row has the reason. A metric that does not need what is broken goes on.
func TestJudgeStaysBroken(t *testing.T) {
	t.Parallel()
	const rows = 200
	chatAlone := func(fault func(w http.ResponseWriter) bool) func(s *server) {
		return func(s *server) {
			s.fault = func(call int, w http.ResponseWriter) bool {
				s.mu.Lock()
				kind := s.calls[call-1]
				s.mu.Unlock()
				return kind == "chat" && fault(w)
			}
		}
	}
	for name, c := range map[string]struct {
		breaks func(s *server)
		within time.Duration
		calls  int // at most
		reason string
	}{
		"away": {
			func(s *server) { s.away = refused }, 11 * time.Minute, 0,
			"the metric was given up: the judge is unavailable: judge at judge:8000: no call succeeded for 10m0s: connect: connection refused",
		},
		"hanging": {
			func(s *server) { s.away = func() error { time.Sleep(2*time.Minute + time.Second); return nil } }, 14 * time.Minute, 0,
			"no call succeeded for 10m0s: no answer within 2m0s",
		},
		"failing": {
			chatAlone(func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusInternalServerError); return true }), 11 * time.Minute, 1000,
			"no call succeeded for 10m0s: 500 Internal Server Error",
		},
		"talking nonsense": {
			chatAlone(func(w http.ResponseWriter) bool {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"choices": [{"message": {"content": "Hello!"}}]}`))
				return true
			}), 15 * time.Minute, 3000, "the judge gave no rating from 0 to 4",
		},
		"wrong key": {
			chatAlone(func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusUnauthorized); return true }), time.Second, 100,
			"the metric was given up: the judge refuses: judge at judge:8000: 401 Unauthorized: the key is not accepted",
		},
		"unsupported parameter": {
			chatAlone(func(w http.ResponseWriter) bool {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model.", "code": "unsupported_parameter"}}`))
				return true
			}), time.Second, 100, "400 Bad Request: it does not support a parameter: Unsupported parameter: 'max_tokens' is not supported with this model.",
		},
		"out of quota": {
			chatAlone(func(w http.ResponseWriter) bool {
				w.WriteHeader(http.StatusTooManyRequests)
				_, _ = w.Write([]byte(`{"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}`))
				return true
			}), time.Second, 100, "429 Too Many Requests: its quota is used up",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := goodJudge()
				c.breaks(s)
				began := time.Now()
				got := judgeRows(t, everyMetric(t, s.patient(t)), rows, 16)
				if took := time.Since(began); took > c.within {
					t.Errorf("it took %s", took)
				}
				if calls := s.count("chat"); c.calls > 0 && calls > c.calls {
					t.Errorf("%d calls", calls)
				}
				for _, name := range []string{"answer_accuracy", "factual_correctness"} {
					if n := got.Scored()[name]; n != 0 {
						t.Errorf("%s: %d rows have a score", name, n)
					}
				}
				embeds := 0
				if s.away == nil {
					embeds = rows
				}
				if n := got.Scored()["semantic_similarity"]; n != embeds {
					t.Errorf("semantic_similarity: %d of %d rows have a score", n, rows)
				}
				if notes := strings.Join(got.Notes(), "\n"); !strings.Contains(notes, "answer_accuracy: 200 of 200 rows have no score: ") || !strings.Contains(notes, c.reason) {
					t.Errorf("notes are %s", notes)
				}
			})
		})
	}
}

// TestNeighboursDoNotMatter: rows that fail together, fewer than the others, cost
// themselves alone. The rule of earlier versions gave a metric up after three.
func TestNeighboursDoNotMatter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := goodJudge()
		inner := s.chat
		s.chat = func(prompt string, n int) []string {
			for i := 100; i < 110; i++ {
				if strings.Contains(prompt, fmt.Sprintf("question %d\"", i)) {
					return []string{"none"}
				}
			}
			return inner(prompt, n)
		}
		c := s.patient(t)
		m, err := New("answer_accuracy", c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := judgeRows(t, NewSuite(m), 200, 16)
		if n := got.Scored()["answer_accuracy"]; n != 190 {
			t.Errorf("%d of 200 rows have a score; %q", n, got.Notes())
		}
	})
}

// TestBestReference: each reference is judged, and the best counts; a metric
// without references makes its calls once.
func TestBestReference(t *testing.T) {
	t.Parallel()
	s := &server{
		vectors: map[string][]float64{"the-answer": {1, 0}, "far": {0, 1}, "near": {1, 0}, "the-question": {1, 0}, "guess": {1, 0}},
		chat:    goodJudge().chat,
	}
	suite := NewSuite(s.metric(t, "semantic_similarity", Options{}), s.metric(t, "answer_relevancy", Options{}))
	r := row()
	r.References = []string{"far", "near", "far"}
	outcomes, err := suite.Score(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	samples := Samples(outcomes)
	if samples[0].Scores["semantic_similarity"] != 1 || samples[1].Scores["answer_relevancy"] != 1 {
		t.Errorf("samples %+v", samples)
	}
	if s.count("embed") != 4 || s.count("chat") != 1 {
		t.Errorf("calls %v", s.calls)
	}
}

// TestRowsThatLack: a row without an answer or a truth costs no call and is not
// scored; it does not count against the metric.
func TestRowsThatLack(t *testing.T) {
	t.Parallel()
	s := goodJudge()
	c := s.client(t)
	suite := everyMetric(t, c)
	for range 30 {
		r := row()
		r.NoAnswer = "out of memory"
		outcomes, err := suite.Score(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range Samples(outcomes) {
			if sample.Missing != "out of memory" || len(sample.Scores) != 0 {
				t.Errorf("sample %+v", sample)
			}
		}
	}
	if len(s.calls) != 0 {
		t.Errorf("%d calls", len(s.calls))
	}
	r := row()
	r.NoGroundTruth = true
	outcomes, err := suite.Score(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for i, sample := range Samples(outcomes) {
		if _, scored := sample.Scores[outcomes[i].Metric]; scored != (outcomes[i].Metric == "answer_relevancy") || !scored && sample.Missing != "the row has no ground truth" {
			t.Errorf("%s: %+v", outcomes[i].Metric, sample)
		}
	}
	outcomes, err = suite.Score(t.Context(), row())
	if err != nil || errors.Join(outcomes[0].Err, outcomes[1].Err, outcomes[2].Err, outcomes[3].Err, outcomes[4].Err) != nil {
		t.Errorf("a whole row: %+v, %v", outcomes, err)
	}
}
