const requestHelp = `Symbols, one of:
  --symbols LIST      AAPL:STOCK,BTC:CRYPTO,EUR/USD:FOREX,XAU:COMMODITY; for market-index-data ^GSPC,GC=F.
  --file FILE         A CSV file with the header symbol,asset_type; for market-index-data symbol.
  --from-table TABLE  A table or view with the columns symbol and asset_type; for market-index-data symbol.
                      In the schema of the price tables, or given as schema.table.

Options:
  --start DATE        YYYY-MM-DD; historical-market-data only, which needs it.
  --end DATE          YYYY-MM-DD; historical-market-data only. Default: today.
  --provider NAME     twelve-data (default), frankfurter (FOREX only, no key), recorded or simulated;
                      for historical-market-data also massive; for market-index-data yahoo-rapidapi (default),
                      recorded or simulated.
  --fallback NAME     The provider to ask for what the first cannot serve. Default: none.
  --batch-size N      Symbols of a new request that are fetched, stored and announced together, 1 to 10000.
                      Default: the variables below.
  --max-months N      Most months of all symbols together; historical-market-data only.
                      Default: HISTORICAL_MAX_MONTHS.
  --database URL      postgres://user:password@host:port/database, or memory, which keeps nothing.
                      Default: DATABASE_URL, else DATABASE_HOST, _PORT, _NAME, _USER and _PASSWORD.`;

/** The variables of providers and of the database. */
export const environmentHelp = `Environment, also read from a file .env, which the environment wins over:
  DATABASE_SCHEMA_NAME            The schema of the price tables. Default: financial_tracker.
  MARKET_DATA_BATCH_SIZE          Symbols in a batch of a new request. Default: 100.
  MARKET_INDEX_BATCH_SIZE         The same. Default: 100.
  HISTORICAL_BATCH_SIZE           The same. Default: 50.
  HISTORICAL_MAX_MONTHS           Most months of all symbols of a historical request together. Default: 3000000.
  DATABASE_PREPARED_STATEMENTS    off behind a pooler in transaction mode. Default: on.
  TWELVE_DATA_API_KEY             Needed for twelve-data.
  TWELVE_DATA_API_HOST            Default: api.twelvedata.com.
  TWELVE_DATA_API_QUOTE           Default: /quote.
  TWELVE_DATA_API_TIMESERIES      Default: /time_series.
  TWELVE_DATA_CREDITS_PER_MINUTE  What your plan allows. Default: 8.
  TWELVE_DATA_CREDITS_PER_DAY     What your plan allows, or none. Default: 800.
  TWELVE_DATA_WINDOW_MS           The length of that minute. Default: 60000.
  RAPIDAPI_KEY, RAPIDAPI_HOST     Needed for yahoo-rapidapi.
  RAPIDAPI_MARKET_GET_QUOTES      Default: /market/v2/get-quotes.
  RAPIDAPI_REQUESTS_PER_SECOND    What your plan allows. Default: 5.
  RAPIDAPI_REQUESTS_PER_MONTH     What your plan allows, or none. Default: 500.
  MASSIVE_API_KEY                 Needed for massive.
  MASSIVE_API_HOST                Default: api.massive.com.
  MASSIVE_CALLS_PER_MINUTE        What your plan allows. Default: 5.
  MASSIVE_HISTORY_MONTHS          Months of history in your plan, or none for no bound. Default: none.
  FRANKFURTER_API_HOST            Default: api.frankfurter.dev.`;

/** What `fintrack-pipelines run --help` prints. */
export const runHelp = `Runs one request: fetches the prices of the symbols given and writes them to PostgreSQL.

Usage: fintrack-pipelines run <market-data|market-index-data|historical-market-data> [options]

${requestHelp}
  --request-id ID     Names the request. The same id with the same symbols goes on where an earlier run stopped.
                      Default: a new one.
  --help              Shows this.

${environmentHelp}

Progress goes to stderr. The last line of stdout is the completion event, as JSON.
Exit code: 0 complete, 2 partial, 1 failed. Ctrl-C stops cleanly; a second one ends the process at once.`;

/** What `fintrack-pipelines plan --help` prints. */
export const planHelp = `Says what the same run would take, before any call: symbols that are fresh, calls, credits, and when it would be done.

Usage: fintrack-pipelines plan <market-data|market-index-data|historical-market-data> [options]

${requestHelp}
  --request-id ID     What is done of that request counts as stored. Default: none.
  --json              Prints the plan as one line of JSON.
  --help              Shows this.

${environmentHelp}

Nothing is sent to a provider, and nothing is written. Exit code: 0, or 1 when there can be no plan.`;
