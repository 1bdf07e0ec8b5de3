package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

type server struct {
	records     records
	connections int64 // open now
	opened      int64 // since the start
}

func (s *server) accept(listener net.Listener) {
	for {
		peer, err := listener.Accept()
		if err != nil {
			return
		}
		atomic.AddInt64(&s.opened, 1)
		atomic.AddInt64(&s.connections, 1)
		go func() {
			defer atomic.AddInt64(&s.connections, -1)
			defer peer.Close()
			s.serve(peer)
		}()
	}
}

// serve answers one request after another until one of them wants the end.
func (s *server) serve(peer net.Conn) {
	reader := bufio.NewReaderSize(peer, 16<<10)
	for served := 0; ; served++ {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if strings.HasPrefix(request.URL.Path, "/_/") {
			s.control(peer, request)
			continue
		}
		if request.Method == "CONNECT" {
			s.tunnel(peer, reader, request)
			return
		}
		if !s.answer(&exchange{s, peer, reader, request, parseScenario(request.URL.EscapedPath()), served}) {
			return
		}
	}
}

// sight is what is recorded of a request.
func sight(request *http.Request, body string) seen {
	request.Header["Host"] = []string{request.Host}
	return seen{request.Method, request.URL.RequestURI(), request.RequestURI, request.Header, body}
}

// tunnel is what a proxy does; it refuses what cannot be reached.
func (s *server) tunnel(peer net.Conn, reader io.Reader, request *http.Request) {
	s.records.begin("proxy", sight(request, ""))
	target, err := net.Dial("tcp", request.Host)
	if err != nil {
		io.WriteString(peer, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer target.Close()
	io.WriteString(peer, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		io.Copy(target, reader)
		target.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(peer, target)
}

// control answers the questions of the tests.
func (s *server) control(peer net.Conn, request *http.Request) {
	id := request.URL.Query().Get("id")
	if request.URL.Path == "/_/release" {
		s.records.release(id)
	}
	s.records.lock.Lock()
	if request.URL.Path == "/_/reset" {
		delete(s.records.byID, id)
	}
	known := s.records.of(id)
	answers := map[string]interface{}{
		"/_/counts":   known.counts,
		"/_/requests": known.requests,
		"/_/connections": map[string]int64{"open": atomic.LoadInt64(&s.connections),
			"opened": atomic.LoadInt64(&s.opened)},
	}
	text, _ := json.Marshal(answers[request.URL.Path])
	s.records.lock.Unlock()
	fmt.Fprintf(peer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

// exchange is one request and what is answered.
type exchange struct {
	server  *server
	peer    net.Conn
	reader  *bufio.Reader
	request *http.Request
	wanted  scenario
	served  int // requests before it on this connection
}

// answer does as the scenario says; false: the connection is to be closed.
func (s *server) answer(e *exchange) bool {
	if e.wanted.has("noread") {
		time.Sleep(e.wanted.milliseconds("noread"))
		return false
	}
	body, err := io.ReadAll(e.request.Body)
	if err != nil {
		return false
	}
	arrived := sight(e.request, string(body))
	id := e.wanted["id"]
	before, released := s.records.begin(id, arrived)
	completed, keep := e.reply(arrived, before, released)
	s.records.end(id, completed)
	return keep
}

// wait passes the scenario's time, unless the peer goes away: then false.
func (e *exchange) wait(released chan struct{}) bool {
	delay := e.wanted.milliseconds("delay")
	if e.wanted.has("hold") {
		delay = time.Hour
	} else {
		released = nil
	}
	if delay == 0 {
		return true
	}
	gone := make(chan struct{})
	go func() {
		e.reader.Peek(1)
		close(gone)
	}()
	passed := time.NewTimer(delay)
	defer passed.Stop()
	select {
	case <-gone:
		return e.reader.Buffered() > 0
	case <-released:
	case <-passed.C:
	}
	e.peer.SetReadDeadline(time.Unix(1, 0))
	<-gone
	e.peer.SetReadDeadline(time.Time{})
	e.reader.Reset(e.peer)
	return true
}

func (e *exchange) applies(before int) bool {
	if e.wanted.has("reuse_close") && e.served > 0 {
		return true
	}
	if e.wanted.has("after") {
		return before >= e.wanted.number("after", 0)
	}
	return !e.wanted.has("nth") || e.wanted.number("nth", 0) == before
}

// reply writes the answer; whether it was complete, and whether to go on.
func (e *exchange) reply(arrived seen, before int, released chan struct{}) (completed, keep bool) {
	if e.wanted.has("reuse_close") && e.served > 0 {
		return false, false
	}
	if !e.applies(before) {
		e.wanted = scenario{}
	}
	if !e.wait(released) {
		return false, false
	}
	return e.write(arrived)
}

func (e *exchange) reset() {
	type rawConn interface{ NetConn() net.Conn }
	raw := e.peer
	if secured, is := raw.(rawConn); is {
		raw = secured.NetConn()
	}
	raw.(*net.TCPConn).SetLinger(0)
	raw.Close()
}

func (e *exchange) interim() {
	for i := 0; i < e.wanted.number("interim", 0); i++ {
		io.WriteString(e.peer, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
	}
	for e.wanted.has("endless_interim") {
		if _, err := io.WriteString(e.peer, "HTTP/1.1 100 Continue\r\nX-Pad: "+strings.Repeat("i", 1000)+"\r\n\r\n"); err != nil {
			return
		}
	}
}

// drip writes a byte at a time, so many milliseconds apart.
func (e *exchange) drip(bytes []byte, pause time.Duration) bool {
	if pause == 0 {
		_, err := e.peer.Write(bytes)
		return err == nil
	}
	for i := range bytes {
		if _, err := e.peer.Write(bytes[i : i+1]); err != nil {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

func (e *exchange) write(arrived seen) (completed, keep bool) {
	head, body := e.wanted.render(arrived)
	switch e.wanted["close"] {
	case "before":
		return false, false
	case "rst":
		e.reset()
		return false, false
	case "head":
		e.peer.Write(head[:len(head)/2])
		return false, false
	case "body":
		e.peer.Write(append(head, body[:len(body)/2]...))
		return false, false
	}
	e.interim()
	if e.wanted.has("drip") || e.wanted.has("drip_head") {
		if !e.drip(head, e.wanted.milliseconds("drip_head")) || !e.drip(body, e.wanted.milliseconds("drip")) {
			return false, false
		}
	} else if _, err := e.peer.Write(append(head, body...)); err != nil {
		return false, false
	}
	return true, e.afterwards()
}

// afterwards is what happens to the connection behind a complete reply.
func (e *exchange) afterwards() bool {
	if e.wanted["close"] == "after" || e.wanted.has("no_length") || e.wanted.has("truncate") || e.wanted.has("garbage") {
		return false
	}
	if e.wanted.has("extra") {
		time.Sleep(e.wanted.milliseconds("extra"))
		io.WriteString(e.peer, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"stolen\":true}")
	}
	if e.wanted.has("idle_close") {
		time.Sleep(e.wanted.milliseconds("idle_close"))
		return false
	}
	return true
}
