/** A time of day such as `14:03:00 UTC`; with its date where that is not the day of `now`. */
export function timeOf(date: Date, now: Date): string {
  return text(date, now, 'HH:MM:SS'.length);
}

/** The same without the seconds, where nobody counts them: ten minutes ahead. */
export function timeAhead(date: Date, now: Date): string {
  const isFar = date.getTime() - now.getTime() > 600_000;
  return text(date, now, (isFar ? 'HH:MM' : 'HH:MM:SS').length);
}

function text(date: Date, now: Date, length: number): string {
  const [day = '', time = ''] = date.toISOString().split('T');
  const shown = `${time.slice(0, length)} UTC`;
  return now.toISOString().startsWith(day) ? shown : `${day} ${shown}`;
}
