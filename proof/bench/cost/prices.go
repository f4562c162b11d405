package cost

// Prices are in US dollars.
type Prices struct {
	HTTPAPIRequest float64 // API Gateway, HTTP API, for each 512 KB begun
	LambdaRequest  float64
	LambdaGBSecond float64
	SQSRequest     float64 // for each 64 KB begun
	WriteUnit      float64 // DynamoDB on demand, for each KB begun
	ReadUnit       float64 // for each 4 KB begun; half of it when read eventually consistent
	TableGBMonth   float64
	BackupGBMonth  float64 // point-in-time recovery
	LogsGB         float64 // taken in
	LogsGBMonth    float64 // kept, of what is left when it is compressed
	SecretMonth    float64
	SecretCall     float64
	MetricMonth    float64 // CloudWatch, of one's own
	AlarmMonth     float64
	DashboardMonth float64
}

const million = 1e6

// USEast1 are the prices of us-east-1 on arm64, without free tiers and discounts,
// as the pricing pages of API Gateway, Lambda, SQS, DynamoDB, CloudWatch and
// Secrets Manager had them in 2025. No other place has a price.
var USEast1 = Prices{
	HTTPAPIRequest: 1.00 / million,
	LambdaRequest:  0.20 / million,
	LambdaGBSecond: 0.0000133334,
	SQSRequest:     0.40 / million,
	WriteUnit:      0.625 / million,
	ReadUnit:       0.125 / million,
	TableGBMonth:   0.25,
	BackupGBMonth:  0.20,
	LogsGB:         0.50,
	LogsGBMonth:    0.03,
	SecretMonth:    0.40,
	SecretCall:     0.05 / 10_000,
	MetricMonth:    0.30,
	AlarmMonth:     0.10,
	DashboardMonth: 3.00,
}

// x86GBSecond is the price of a GB-second of Lambda on x86_64.
const x86GBSecond = 0.0000166667

// infrequentAccess makes them those of DynamoDB's table class Standard-IA.
func (p *Prices) infrequentAccess() {
	p.WriteUnit, p.ReadUnit, p.TableGBMonth = 0.78/million, 0.155/million, 0.10
}
