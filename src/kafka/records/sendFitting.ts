import { PipelineError } from '../../model/errors.ts';
import type { RecordSink, SinkRecord } from '../../model/recordPorts.ts';

/** How often records are made anew: from 1 MiB to less than a record of any kind that is a dozen halvings. */
const maxRefusals = 15;

/** Sends records of one topic, which are made anew, within `sink.maxRecordBytes`, when the topic does not take their size. */
export async function sendFitting(sink: RecordSink, recordsOf: () => readonly SinkRecord[]): Promise<void> {
  for (let refusals = 0; ;) {
    try {
      await sink.send(recordsOf());
      return;
    } catch (error) {
      const isTooLarge = PipelineError.isInstance(error) && error.code === 'record_too_large';
      if (!isTooLarge || ++refusals > maxRefusals) throw error;
    }
  }
}
