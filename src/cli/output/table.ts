/** Lays rows out in columns under their titles; numbers align to the right. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const isNumeric = titles.map((_, column) => rows.every((row) => /^-?[\d.]*$/.test(row[column] ?? '')));
  const layOut = (row: readonly string[]): string =>
    widths
      .map((width, column) => (isNumeric[column] === true ? 'padStart' : 'padEnd'))
      .map((pad, column) => (row[column] ?? '')[pad](widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [titles, widths.map((width) => '-'.repeat(width)), ...rows].map(layOut);
}
