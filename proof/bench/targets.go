package bench

// The tables that have targets.
const (
	partsTitle   = "Parts"
	coldTitle    = "From the start of the process to the first answer: " // of what
	webhookTitle = "Running: webhook, one invocation"
	batchTitle   = "Running: processor, a batch of ten documents of 15 KB"
	tenTitle     = "Running: a batch of ten documents against one"
	largestTitle = "Running: the processor with ten documents of 8 MB, three times"
	sizesTitle   = "Size of the binary, and zipped"
)

// targets are what the medians of ratios must not exceed, by table and row.
var targets = map[string]map[string]float64{
	partsTitle:            {"verify a signature, HMAC reused": 3, "body to verified event, HMAC made anew": 1.5},
	coldTitle + "webhook": {"128 MB, floor": 0.15, "unthrottled, floor": 0.80},
	webhookTitle:          {"p50, floor": 1.5},
	batchTitle:            {"CPU a batch, floor": 2.2},
	tenTitle:              {"ours, 100ms upstream, unthrottled": 1.05, "ours, 100ms upstream, 256 MB": 1.3},
	largestTitle:          {"peak memory against MemorySize": 0.9},
	sizesTitle: {
		"WebhookFunction, arm64": 1.25, "ProcessorFunction, arm64": 1.45, "ReconcilerFunction, arm64": 1.45,
		"WebhookFunction, x86_64": 1.25, "ProcessorFunction, x86_64": 1.45, "ReconcilerFunction, x86_64": 1.45,
	},
}
