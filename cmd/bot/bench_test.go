package main

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkAcknowledge is how long Slack waits for its 200: from a signed command on
// the wire to the answer, with the command in the embedded store, while the worker is
// busy with the commands before.
func BenchmarkAcknowledge(b *testing.B) {
	st := newStory(b.TempDir())
	if err := st.begin(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.close() })
	var took []time.Duration
	for b.Loop() {
		d, err := st.world.Say(b.Context(), "alice", incident, "/revoke-session nobody@contoso.com")
		if err != nil || d.Status != 200 {
			b.Fatalf("%+v, %v", d, err)
		}
		took = append(took, d.Took)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
