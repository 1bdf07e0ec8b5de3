package main

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"strconv"
	"strings"
)

const plainBody = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4.1",` +
	`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`

func gzipped(plain []byte) []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	writer.Write(plain)
	writer.Close()
	return packed.Bytes()
}

func deflated(plain []byte) []byte {
	var packed bytes.Buffer
	writer := zlib.NewWriter(&packed)
	writer.Write(plain)
	writer.Close()
	return packed.Bytes()
}

// bodyOf is the plain body that a scenario wants.
func (s scenario) bodyOf(request seen) []byte {
	switch {
	case s.has("echo"):
		return []byte(request.Body)
	case s.has("body"):
		return []byte(s["body"])
	case s.has("size"):
		filler := strings.Repeat("a", s.number("size", 0))
		return []byte(`{"pad":"` + filler + `"}`)
	case s.has("empty"):
		return nil
	}
	return []byte(plainBody)
}

// packed is the body as transferred, and its Content-Encoding.
func (s scenario) packed(plain []byte) ([]byte, string) {
	switch {
	case s.has("gzip"):
		return gzipped(plain), "gzip"
	case s.has("deflate"):
		return deflated(plain), "deflate"
	case s.has("bomb"):
		return gzipped(bytes.Repeat([]byte("a"), s.number("bomb", 64)<<20)), "gzip"
	case s.has("badgzip"):
		whole := gzipped(plain)
		for i := 12; i < len(whole); i++ {
			whole[i] ^= 0x5a
		}
		return whole, "gzip"
	}
	return plain, ""
}

// framing is the header field that says where the body ends, and the body in it.
func (s scenario) framing(body []byte) (string, []byte) {
	switch {
	case s.has("no_length"):
		return "", body
	case s.has("chunked"):
		return "Transfer-Encoding: chunked\r\n", []byte(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body))
	case s.has("badchunk"):
		return "Transfer-Encoding: chunked\r\n", []byte(fmt.Sprintf("zz\r\n%s\r\n0\r\n\r\n", body))
	}
	return "Content-Length: " + strconv.Itoa(len(body)+s.number("truncate", 0)) + "\r\n", body
}

// render makes the head and the body of the reply.
func (s scenario) render(request seen) (head, body []byte) {
	if s.has("garbage") {
		return []byte("this is not HTTP at all\r\n\r\n"), nil
	}
	packed, encoding := s.packed(s.bodyOf(request))
	framing, framed := s.framing(packed)
	var text strings.Builder
	status := s.number("status", 200)
	fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\n%s", status, reason(status), framing)
	if encoding != "" {
		fmt.Fprintf(&text, "Content-Encoding: %s\r\n", encoding)
	}
	text.WriteString(s.fields())
	text.WriteString("\r\n")
	if request.Method == "HEAD" {
		framed = nil
	}
	return []byte(text.String()), framed
}

// fields is the header fields that a scenario wants besides those of its body.
func (s scenario) fields() string {
	var text strings.Builder
	if s.has("type") {
		fmt.Fprintf(&text, "Content-Type: %s\r\n", s["type"])
	} else {
		text.WriteString("Content-Type: application/json\r\n")
	}
	if s.has("redirect") {
		text.WriteString("Location: /elsewhere\r\n")
	}
	if s.has("keepalive_header") {
		fmt.Fprintf(&text, "Keep-Alive: timeout=%s\r\n", s["keepalive_header"])
	}
	if s.has("header") {
		name, value, _ := strings.Cut(s["header"], ":")
		fmt.Fprintf(&text, "%s: %s\r\n", name, value)
	}
	if s.has("head_size") {
		fmt.Fprintf(&text, "X-Pad: %s\r\n", strings.Repeat("p", s.number("head_size", 0)))
	}
	return text.String()
}

func reason(status int) string {
	known := map[int]string{200: "OK", 204: "No Content", 302: "Found", 400: "Bad Request",
		401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error",
		503: "Service Unavailable"}
	if text := known[status]; text != "" {
		return text
	}
	return "Status"
}
