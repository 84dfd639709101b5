/** A value without the white space and the quotes around it: `docker --env-file` and YAML leave those where they are. */
export function unquoted(text: string): string {
  const trimmed = text.trim();
  return /^(["'`])(.*)\1$/s.exec(trimmed)?.[2]?.trim() ?? trimmed;
}
