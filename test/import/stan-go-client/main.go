// A client made with stan.go, for test/import/live-go.test.ts: it says in lines of JSON what it gets, and does what lines on its standard input say.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/stan.go"
)

var out sync.Mutex

func say(line map[string]any) {
	out.Lock()
	defer out.Unlock()
	bytes, _ := json.Marshal(line)
	fmt.Println(string(bytes))
}

func must(err error) {
	if err != nil {
		say(map[string]any{"failed": err.Error()})
		os.Exit(1)
	}
}

func main() {
	url, cluster, id, channel := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	conn, err := stan.Connect(cluster, id, stan.NatsURL(url), stan.Pings(1, 1000),
		stan.SetConnectionLostHandler(func(_ stan.Conn, err error) { say(map[string]any{"lost": err.Error()}) }))
	must(err)
	var lock sync.Mutex
	messages := map[string]*stan.Msg{}
	subs := map[string]stan.Subscription{}
	get := func(name string) stan.MsgHandler {
		return func(m *stan.Msg) {
			lock.Lock()
			messages[name+" "+strconv.FormatUint(m.Sequence, 10)] = m
			lock.Unlock()
			say(map[string]any{"sub": name, "sequence": m.Sequence, "redelivered": m.Redelivered, "data": string(m.Data)})
		}
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "sub": // NAME MAX_IN_FLIGHT [DURABLE] [GROUP]
			inFlight, _ := strconv.Atoi(words[2])
			options := []stan.SubscriptionOption{stan.DeliverAllAvailable(), stan.SetManualAckMode(), stan.MaxInflight(inFlight), stan.AckWait(3 * time.Second)}
			if len(words) > 3 && words[3] != "-" {
				options = append(options, stan.DurableName(words[3]))
			}
			var sub stan.Subscription
			if len(words) > 4 {
				sub, err = conn.QueueSubscribe(channel, words[4], get(words[1]), options...)
			} else {
				sub, err = conn.Subscribe(channel, get(words[1]), options...)
			}
			must(err)
			subs[words[1]] = sub
		case "ack": // NAME SEQUENCE
			lock.Lock()
			m := messages[words[1]+" "+words[2]]
			lock.Unlock()
			must(m.Ack())
		case "pub":
			must(conn.Publish(channel, []byte(words[1])))
		case "unsub":
			must(subs[words[1]].Unsubscribe())
		case "close":
			must(subs[words[1]].Close())
		case "end":
			must(conn.Close())
			say(map[string]any{"done": "end"})
			return
		}
		say(map[string]any{"done": words[0]})
	}
}
