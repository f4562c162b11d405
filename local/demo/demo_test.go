package demo

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/deployment"
	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/stack"
	"veryfi-intake/shared/secret"
)

func TestWhatIsWrongIsFound(t *testing.T) {
	t.Parallel()
	steps := []step{{name: "one", status: 200, rows: []expectation{{id: "1", status: "processed", attempts: 1}, {id: "check#", status: "unsupported"}, {id: "3"}, stored("4", []byte(`{"total": 12.10}`)), stored("5", []byte(`{"total": 12.10}`))}}}
	total := func(id, digits string) stack.Row {
		document := &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"total": &types.AttributeValueMemberN{Value: digits}}}
		return stack.Row{ID: id, Status: "processed", Item: deployment.Row{"document": document}}
	}
	rows := map[string]stack.Row{
		"1":       {ID: "1", Status: "retrying", Attempts: 2},
		"check#a": {ID: "check#a", Status: "unsupported"},
		"forged":  {ID: "forged", Status: "processed"},
		"4":       total("4", "12.1"),
		"5":       total("5", "12.11"),
	}
	want := map[string]bool{
		`row 1: status is "retrying", not "processed"`:  true,
		`row 1: 2 attempts, not 1`:                      true,
		`row 3 is missing`:                              true,
		`row forged (processed) must not be there`:      true,
		`row 5: the document is not what Veryfi served`: true,
	}
	d := demo{steps: steps, credentials: secret.Credentials{ClientSecret: "secret-1", APIKey: "key-1"}}
	found := func(check func()) []string {
		d.problems = nil
		check()
		return d.problems
	}
	problems := found(func() { d.checkRows(rows) })
	for _, problem := range problems {
		if !want[problem] {
			t.Errorf("found: %s", problem)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems, want %d", len(problems), len(want))
	}
	d.deliveries = []delivery{{steps[0], []webhook.Answer{{Status: 503, Body: "x"}}}}
	if got := found(d.checkAnswers); len(got) != 1 || got[0] != `webhook "one" was answered 503, not 200: x` {
		t.Errorf("found: %q", got)
	}
	var logs Logs
	logs.Add("WebhookFunction", "the client secret is secret-1")
	if got := found(func() { d.checkLogs(&logs) }); len(got) != 1 {
		t.Errorf("found: %q", got)
	}
}
