/** `setTimeout` fires at once when it is asked to wait longer than this. */
const longestTimerMs = 2 ** 31 - 1;

/** Calls `onOver` once the time is over, at once when none is left; the function returned ends the wait. */
export function startDeadline(deadlineMs: number, onOver: () => void): () => void {
  if (deadlineMs > longestTimerMs) return () => undefined;
  if (deadlineMs <= 0) {
    onOver();
    return () => undefined;
  }
  const timer = setTimeout(onOver, deadlineMs);
  return () => {
    clearTimeout(timer);
  };
}
