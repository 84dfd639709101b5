export const groupId = 'workers';
export const requestTopic = 'REQUESTS';
export const workTopic = 'WORK';
export const completionTopic = 'COMPLETIONS';
export const deadLetterTopic = 'DEAD_LETTERS';

/** A message that is no request. */
export const noRequest = 'no request';
