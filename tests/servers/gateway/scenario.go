package main

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A scenario is how one path wants to be answered: "/x/id=a,delay=50/v1/...". Values
// may be percent-encoded. What isn't said is as a well-behaved gateway does it.
type scenario map[string]string

// parseScenario gives the scenario of an escaped path, empty for one without.
func parseScenario(path string) scenario {
	wanted := scenario{}
	rest := strings.TrimPrefix(path, "/x/")
	if rest == path {
		return wanted
	}
	words, _, _ := strings.Cut(rest, "/")
	for _, word := range strings.Split(words, ",") {
		name, value, _ := strings.Cut(word, "=")
		plain, err := url.PathUnescape(value)
		if err == nil {
			wanted[name] = plain
		}
	}
	return wanted
}

func (s scenario) has(name string) bool {
	_, found := s[name]
	return found
}

func (s scenario) number(name string, otherwise int) int {
	value, err := strconv.Atoi(s[name])
	if err != nil {
		return otherwise
	}
	return value
}

func (s scenario) milliseconds(name string) time.Duration {
	return time.Duration(s.number(name, 0)) * time.Millisecond
}
