import { backupErrors } from './errors.ts';
import type { FragmentWriter } from './fragment-writer.ts';
import type { DestinationMask } from './routes.ts';

const maxWriters = 4;

/** One fragment writer for each group of destinations: a fragment goes to the destinations that need all of it. */
export class FragmentRouter {
  readonly #make: (destinations: DestinationMask) => FragmentWriter;
  readonly #writers = new Map<DestinationMask, FragmentWriter>();

  constructor(make: (destinations: DestinationMask) => FragmentWriter) {
    this.#make = make;
  }

  /** The writer of what goes to these destinations. @throws backup.stopped */
  writerFor(destinations: DestinationMask): FragmentWriter {
    let writer = this.#writers.get(destinations);
    if (!writer) {
      // Each holds a buffer while something is in it.
      if (this.#writers.size >= maxWriters) {
        if (!this.flush()) throw backupErrors.stopped();
        this.#writers.clear();
      }
      this.#writers.set(destinations, (writer = this.#make(destinations)));
    }
    return writer;
  }

  /** Hands over what has gathered. False when stopped. */
  flush(): boolean {
    let isDone = true;
    for (const writer of this.#writers.values()) isDone = writer.flush() && isDone;
    return isDone;
  }
}
