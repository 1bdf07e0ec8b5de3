package main

import "sync"

// seen is a request as it arrived.
type seen struct {
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Target  string              `json:"target"` // as in the request line
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body"`
}

// counts is what became of the requests of one id.
type counts struct {
	Requests  int `json:"requests"`
	Completed int `json:"completed"`
	Aborted   int `json:"aborted"`
	Active    int `json:"active"`
	MaxActive int `json:"max_active"`
}

// record is what is known of one id.
type record struct {
	counts   counts
	requests []seen
	released chan struct{}
}

const keptRequests = 1000

type records struct {
	lock sync.Mutex
	byID map[string]*record
}

// of gives the record of an id; the lock is held.
func (r *records) of(id string) *record {
	found := r.byID[id]
	if found == nil {
		found = &record{released: make(chan struct{})}
		r.byID[id] = found
	}
	return found
}

// begin notes a request; it tells how many came before it, and what is closed when those
// that hold are let go.
func (r *records) begin(id string, request seen) (before int, released chan struct{}) {
	r.lock.Lock()
	defer r.lock.Unlock()
	known := r.of(id)
	known.counts.Requests++
	known.counts.Active++
	if known.counts.Active > known.counts.MaxActive {
		known.counts.MaxActive = known.counts.Active
	}
	if len(known.requests) < keptRequests {
		known.requests = append(known.requests, request)
	}
	return known.counts.Requests - 1, known.released
}

func (r *records) end(id string, completed bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	known := r.of(id)
	known.counts.Active--
	if completed {
		known.counts.Completed++
	} else {
		known.counts.Aborted++
	}
}

// release lets go of the requests that hold.
func (r *records) release(id string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	known := r.of(id)
	close(known.released)
	known.released = make(chan struct{})
}
