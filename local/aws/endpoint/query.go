package endpoint

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// The two services of which a stack needs one call each: CloudFormation and SNS. Both
// speak the query protocol: a form goes in, XML comes out.

// A Stack answers CloudFormation's DescribeStacks about itself.
type Stack struct {
	Name                string
	Outputs, Parameters map[string]string
	Created             time.Time
}

// A Topic answers SNS's GetTopicAttributes about itself.
type Topic struct {
	ARN string
	// Pending is how many have subscribed and not confirmed it. Nobody confirms on one
	// machine: no mail is sent.
	Pending int
}

// A member is one of a list in an answer.
type member struct {
	OutputKey      string `xml:",omitempty"`
	OutputValue    string `xml:",omitempty"`
	ParameterKey   string `xml:",omitempty"`
	ParameterValue string `xml:",omitempty"`
	Key            string `xml:"key,omitempty"`
	Value          string `xml:"value,omitempty"`
}

func (s Stack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !isAction(w, r, "DescribeStacks") {
		return
	}
	if name := r.FormValue("StackName"); name != s.Name {
		refuse(w, http.StatusBadRequest, "ValidationError", "Stack with id "+name+" does not exist")
		return
	}
	answer := struct {
		XMLName      xml.Name `xml:"DescribeStacksResponse"`
		StackName    string   `xml:"DescribeStacksResult>Stacks>member>StackName"`
		StackStatus  string   `xml:"DescribeStacksResult>Stacks>member>StackStatus"`
		CreationTime string   `xml:"DescribeStacksResult>Stacks>member>CreationTime"`
		Outputs      []member `xml:"DescribeStacksResult>Stacks>member>Outputs>member"`
		Parameters   []member `xml:"DescribeStacksResult>Stacks>member>Parameters>member"`
	}{StackName: s.Name, StackStatus: "CREATE_COMPLETE", CreationTime: s.Created.UTC().Format(time.RFC3339)}
	for _, k := range slices.Sorted(maps.Keys(s.Outputs)) {
		answer.Outputs = append(answer.Outputs, member{OutputKey: k, OutputValue: s.Outputs[k]})
	}
	for _, k := range slices.Sorted(maps.Keys(s.Parameters)) {
		answer.Parameters = append(answer.Parameters, member{ParameterKey: k, ParameterValue: s.Parameters[k]})
	}
	_ = xml.NewEncoder(w).Encode(answer)
}

func (t Topic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !isAction(w, r, "GetTopicAttributes") {
		return
	}
	if r.FormValue("TopicArn") != t.ARN {
		refuse(w, http.StatusNotFound, "NotFound", "Topic does not exist")
		return
	}
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName    xml.Name `xml:"GetTopicAttributesResponse"`
		Attributes []member `xml:"GetTopicAttributesResult>Attributes>entry"`
	}{Attributes: []member{
		{Key: "TopicArn", Value: t.ARN},
		{Key: "SubscriptionsConfirmed", Value: "0"},
		{Key: "SubscriptionsPending", Value: strconv.Itoa(t.Pending)},
	}})
}

// isAction refuses any other action than the one that is known.
func isAction(w http.ResponseWriter, r *http.Request, known string) bool {
	w.Header().Set("Content-Type", "text/xml")
	action := r.FormValue("Action")
	if action != known {
		refuse(w, http.StatusBadRequest, "InvalidAction", "the stand-in knows "+known+" only, not "+action)
	}
	return action == known
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
	}{Code: code, Message: message})
}
