import type { Environment } from '../input/environment.ts';
import { proxySecrets } from '../input/proxyVariables.ts';

/**
 * Makes a function that takes secrets out of a text: the API keys, and the URLs of databases and proxies with
 * their passwords.
 *
 * The library puts none into its messages. This is the last line of defense, for what a server answers with.
 */
export function redactor(environment: Environment, databaseOption: string | undefined): (text: string) => string {
  const keys = ['TWELVE_DATA_API_KEY', 'RAPIDAPI_KEY', 'MASSIVE_API_KEY', 'KAFKA_SASL_PASSWORD'].map(
    (variable) => environment[variable],
  );
  const urls = [environment['DATABASE_URL'], databaseOption].filter((url) => url?.includes('://'));
  const secrets = [...keys, ...urls, ...urls.map(passwordPart), ...proxySecrets(environment)]
    .filter((secret) => secret !== undefined)
    // What is shorter could stand in any word.
    .filter((secret) => secret.length >= 8)
    .flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]);
  return (text) => secrets.reduce((safe, secret) => safe.replaceAll(secret, '[hidden]'), text);
}

/** `:password@` and not the password alone, which is often a plain word such as the name of the user. */
function passwordPart(url: string | undefined): string | undefined {
  return /^\w+:\/\/[^:@/]*(:.+@)/.exec(url ?? '')?.[1];
}
