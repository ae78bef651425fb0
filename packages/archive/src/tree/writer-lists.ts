import { joinBytes } from '../format/cursor.ts';
import { encodeWriter, introductionMessage, type Writer } from '../format/keyring.ts';
import type { ReadTools } from './record-source.ts';

/** A list of writers: one more than the list before it. Lists that begin alike share their beginning. */
export type WriterList = {
  /** Undefined for the empty list. */
  readonly before: WriterList | undefined;
  /** The newest writer; undefined for the empty list. */
  readonly writer: Writer | undefined;
  readonly length: number;
};

type Entry = WriterList & { readonly next: Map<string, Entry>; introduced?: Promise<boolean> };

/** The lists of writers that the keyrings of one archive have; each introduction is verified once, whoever repeats it. */
export class WriterLists {
  readonly empty: WriterList;
  readonly #archiveId: Uint8Array;
  readonly #tools: Pick<ReadTools, 'verify'>;

  constructor(archiveId: Uint8Array, tools: Pick<ReadTools, 'verify'>) {
    this.#archiveId = archiveId;
    this.#tools = tools;
    this.empty = makeEntry(undefined, undefined);
  }

  /** The same object for equal lists; writers are equal where every field is. */
  of(writers: readonly Writer[]): WriterList {
    let list = this.empty as Entry;
    for (const writer of writers) {
      const name = encodeWriter(writer).toHex();
      const next: Entry = list.next.get(name) ?? makeEntry(list, writer);
      list.next.set(name, next);
      list = next;
    }
    return list;
  }

  /** Whether each writer behind the beginning was introduced by the one listed before it; the very first needs nobody. */
  async areIntroduced(list: WriterList, beginning: WriterList): Promise<boolean> {
    // From the oldest: a list of many that nobody signed for costs one verification.
    for (const entry of entriesBehind(list, beginning)) if (!(await this.isIntroduced(entry))) return false;
    return true;
  }

  /** Whether the newest writer of a list was introduced by the one before it, or is the very first. */
  isIntroduced(list: WriterList): Promise<boolean> {
    const entry = list as Entry;
    return (entry.introduced ??= this.#verify(entry));
  }

  async #verify({ before, writer }: Entry): Promise<boolean> {
    if (writer === undefined || before?.writer === undefined) return true;
    if (writer.introduction === undefined) return false;
    const message = introductionMessage(this.#archiveId, writer);
    return this.#tools.verify(joinBytes(before.writer.publicKey), message, joinBytes(writer.introduction));
  }
}

/** The lists that lead from a beginning to a list, the longest last; without the beginning itself. */
export function entriesBehind(list: WriterList, beginning: WriterList): WriterList[] {
  const entries: WriterList[] = [];
  for (let at: WriterList | undefined = list; at && at !== beginning; at = at.before) entries.push(at);
  return entries.toReversed();
}

/** Whether a list begins with another, or is the same. */
export function beginsWith(list: WriterList, beginning: WriterList): boolean {
  let at: WriterList | undefined = list;
  while (at && at.length > beginning.length) at = at.before;
  return at === beginning;
}

function makeEntry(before: Entry | undefined, writer: Writer | undefined): Entry {
  return { before, writer, length: before === undefined ? 0 : before.length + 1, next: new Map() };
}
