// Command gateway is a server that lies on request: how it answers stands in the path.
// It speaks over raw sockets, so that it can break HTTP at any point, and counts what
// arrived, so that "once" can be asserted. It serves until its standard input closes.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
)

// certificates collects -tls name=cert.pem,key.pem.
type certificates map[string]tls.Certificate

func (c certificates) String() string { return "" }

func (c certificates) Set(value string) error {
	name, files, _ := strings.Cut(value, "=")
	cert, key, _ := strings.Cut(files, ",")
	pair, err := tls.LoadX509KeyPair(cert, key)
	c[name] = pair
	return err
}

func listen(known *server, secure *tls.Config) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	address := listener.Addr().String()
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	go known.accept(listener)
	return address
}

func main() {
	pairs := certificates{}
	flag.Var(pairs, "tls", "name=cert.pem,key.pem; may be repeated")
	flag.Parse()
	known := &server{records: records{byID: map[string]*record{}}}
	addresses := map[string]string{"http": listen(known, nil)}
	for name, pair := range pairs {
		addresses[name] = listen(known, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	line, _ := json.Marshal(addresses)
	fmt.Println(string(line))
	io.Copy(io.Discard, os.Stdin)
}
