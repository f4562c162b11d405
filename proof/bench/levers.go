package bench

import "context"

// levers measures what each setting of template.yaml is worth: with all of them,
// against all but one.
func (b *bench) levers(ctx context.Context, s *subjects) (comparison, error) {
	table := comparison{title: "What each setting of the runtime is worth: all of them, against all but one"}
	for _, setting := range []struct{ name, without string }{
		{"SSL_CERT_DIR", s.webhookFloor.config.Environment["SSL_CERT_DIR"]},
		{"GOMAXPROCS", "2"},
		{"GOGC", "100"},
	} {
		b.Progress("without " + setting.name)
		cold, err := b.coldStarts(ctx, []subject{s.webhook, s.webhook.with(setting.name, setting.without)}, s.request, 0)
		if err != nil {
			return table, err
		}
		batches, err := b.blocks(ctx, []subject{s.processor, s.processor.with(setting.name, setting.without)}, batch(10))
		if err != nil {
			return table, err
		}
		table.rows = append(table.rows,
			compare("start of the webhook, without "+setting.name, cold[0], cold[1], 0),
			compare("CPU of ten documents, without "+setting.name, batches[0].cpu, batches[1].cpu, 0),
		)
	}
	return table, nil
}
