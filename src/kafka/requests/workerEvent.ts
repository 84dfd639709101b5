export type { WorkerEvent, WorkerObserver } from '../../model/workerEvents.ts';
