export const groupId = 'workers';
export const requestTopic = 'REQUESTS';
export const workTopic = 'WORK';
export const completionTopic = 'COMPLETIONS';
export const deadLetterTopic = 'DEAD_LETTERS';
