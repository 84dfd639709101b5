import { environmentHelp } from './runHelp.ts';

/** What `fintrack-pipelines work --help` prints. */
export const workHelp = `Reads requests from Kafka, writes the prices they ask for to PostgreSQL, and announces what became of them.

Usage: fintrack-pipelines work [options]

Options:
  --port PORT         Where /metrics, /healthz and /readyz are served; 0 takes any free port. Default: 9464.
  --host HOST         The address it listens at, such as 0.0.0.0 in a container. Default: 127.0.0.1.
  --drain-ms MS       How long requests in flight may take once the worker is told to stop. Default: 10000.
  --quarantine-after N
                      After how many starts that its process did not survive a request is started with nothing
                      else beside it. Default: 2.
  --quarantine-starts N
                      After how many such starts alone it is answered as failed: request_exhausted. Default: 3.
  --no-create-topics  Topics that are missing are an error, and not created.
  --provider LIST     Providers for all pipelines, with commas between them: each is asked for what those before it
                      cannot serve. Default: the variables below.
  --batch-size N      Symbols in a batch of a new request, for all pipelines, 1 to 10000. Default: the variables below.
  --max-months N      Most months of all symbols of a historical request together. Default: HISTORICAL_MAX_MONTHS.
  --database URL      postgres://user:password@host:port/database, or memory, which keeps nothing and shares nothing.
                      Default: DATABASE_URL, else DATABASE_HOST, _PORT, _NAME, _USER and _PASSWORD.
  --help              Shows this.

Who is asked, a list such as twelve-data,frankfurter, or none to leave the topic to other workers:
  MARKET_DATA_PROVIDER             Default: twelve-data.
  MARKET_INDEX_DATA_PROVIDER       Default: yahoo-rapidapi.
  HISTORICAL_MARKET_DATA_PROVIDER  Default: twelve-data.

Kafka:
  KAFKA_BROKER                       host:port, several with commas between them. Needed.
  KAFKA_CONSUMER_GROUP_ID            Default: etl-job-consumer-group.
  KAFKA_CONSUMER_AUTO_OFFSET_RESET   Where a new group begins: earliest or latest. Default: earliest.
  KAFKA_CONSUMER_SESSION_TIMEOUT_MS  Default: 60000.
  KAFKA_COMPRESSION_TYPE             What is sent is compressed with: none, gzip, snappy, lz4 or zstd. Default: none.
  KAFKA_SSL                          true or false. Default: false.
  KAFKA_SASL_MECHANISM               plain, scram-sha-256 or scram-sha-512, with the two below.
  KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD

${environmentHelp}

Any number of workers may run with the same group. SIGTERM and Ctrl-C stop it cleanly, with exit code 0; a second one
ends it at once. Either way, nothing is lost. docs/operations.md says what each line of its log means.`;
