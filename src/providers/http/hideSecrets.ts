/** Which headers hold a secret. */
const secretHeader = /auth|key|token|secret/i;

/** What is shorter could stand in any word. */
const minSecretCharacters = 8;

/**
 * The text without the secrets that were sent in these headers: a server that repeats one, wherever in its answer, must not bring
 * it into an error, and from there into an event or a table.
 */
export function hideSecrets(text: string, headers: Readonly<Record<string, string>> = {}): string {
  return Object.entries(headers)
    .filter(([name]) => secretHeader.test(name))
    .flatMap(([, value]) => [value, ...value.split(' ')])
    .filter((secret) => secret.length >= minSecretCharacters)
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
    .reduce((safe, secret) => safe.replaceAll(secret, '***'), text);
}
