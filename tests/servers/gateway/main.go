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

const anyPort = "127.0.0.1:0"

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

// listen serves a wanted host:port; it gives the real one, or the reason why not.
func listen(known *server, wanted string, secure *tls.Config) (string, error) {
	listener, err := net.Listen("tcp", wanted)
	if err != nil {
		return "", err
	}
	address := listener.Addr().String()
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	go known.accept(listener)
	return address, nil
}

func mustListen(known *server, wanted string, secure *tls.Config) string {
	address, err := listen(known, wanted, secure)
	if err != nil {
		log.Fatal(err)
	}
	return address
}

func main() {
	pairs := certificates{}
	flag.Var(pairs, "tls", "name=cert.pem,key.pem; may be repeated")
	plain := flag.String("http", anyPort, "host:port to serve HTTP on")
	flag.Parse()
	known := &server{records: records{byID: map[string]*record{}}}
	addresses := map[string]string{"http": mustListen(known, *plain, nil)}
	if address, err := listen(known, "[::1]:0", nil); err == nil {
		addresses["http6"] = address
	}
	for name, pair := range pairs {
		addresses[name] = mustListen(known, anyPort, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	line, _ := json.Marshal(addresses)
	fmt.Println(string(line))
	io.Copy(io.Discard, os.Stdin)
}
