// Package sns stands in for SNS on one machine: it tells of one topic how many have
// subscribed to it, in SNS's query protocol.
package sns

import (
	"encoding/xml"
	"net/http"
	"strconv"
)

// A Topic is what is told of a topic.
type Topic struct {
	ARN string
	// Pending have subscribed and not confirmed it. Nobody confirms on one machine:
	// no mail is sent.
	Pending int
}

type entry struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

// ServeHTTP answers GetTopicAttributes.
func (t Topic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	if action := r.FormValue("Action"); action != "GetTopicAttributes" {
		fail(w, http.StatusBadRequest, "InvalidAction", "the stand-in knows GetTopicAttributes only, not "+action)
		return
	}
	if r.FormValue("TopicArn") != t.ARN {
		fail(w, http.StatusNotFound, "NotFound", "Topic does not exist")
		return
	}
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName    xml.Name `xml:"GetTopicAttributesResponse"`
		Attributes []entry  `xml:"GetTopicAttributesResult>Attributes>entry"`
	}{Attributes: []entry{{"TopicArn", t.ARN}, {"SubscriptionsConfirmed", "0"}, {"SubscriptionsPending", strconv.Itoa(t.Pending)}}})
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
	}{Code: code, Message: message})
}
