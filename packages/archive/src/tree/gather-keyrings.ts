import { equalBytes, joinBytes } from '../format/cursor.ts';
import { parseKeyring } from '../format/keyring.ts';
import { isRecordSigned, sha256Of } from '../format/open.ts';
import { type Ordinal, writerOf } from '../format/ordinal.ts';
import { RecordKind, splitRecord } from '../format/record.ts';
import type { FoundHeader } from './find-keyring.ts';
import type { KeyringCandidate } from './keyring-tree.ts';
import { noteProblem } from './note-problem.ts';
import type { ReadProblem, ReadTools, RecordSource } from './record-source.ts';
import type { WriterLists } from './writer-lists.ts';

/** So many keyrings in which every writer was introduced are looked at, and as many others (§15): anybody can sign one of those. */
const KEYRINGS_LOOKED_AT = 10_000;

/** What gathering keyrings needs, and where it says what is wrong. */
export type KeyringGathering = {
  readonly tools: ReadTools;
  readonly problems: ReadProblem[];
  readonly lists: WriterLists;
  /** Of each of the two kinds; for who tries this with fewer. */
  readonly most?: number;
};

/** The keyrings that are signed for a header (§14.2), each once, by falling number. That there are more than are looked at is said. */
export async function gatherKeyrings(
  source: RecordSource,
  found: FoundHeader,
  { problems, lists, tools, most = KEYRINGS_LOOKED_AT }: KeyringGathering,
): Promise<KeyringCandidate[]> {
  const taken: KeyringCandidate[] = [];
  const seen = new Set<Ordinal>();
  const room = { introduced: most, others: most };
  for await (const ordinal of source.ordinalsOf(RecordKind.keyring)) {
    const bytes = seen.has(ordinal) ? undefined : await source.read(ordinal);
    seen.add(ordinal);
    const candidate = bytes && (await readCandidate(bytes, ordinal, { found, tools, problems }));
    if (!candidate) continue;
    const of = await roomFor(candidate, lists);
    if (room[of]-- > 0) taken.push(candidate);
    else noteProblem(problems, { problem: `there are more keyrings than the ${most} that are looked at`, ordinal });
  }
  return taken.toSorted((a, b) => b.keyring.number - a.keyring.number);
}

async function roomFor({ keyring }: KeyringCandidate, lists: WriterLists): Promise<'introduced' | 'others'> {
  return (await lists.areIntroduced(lists.of(keyring.writers), lists.empty)) ? 'introduced' : 'others';
}

/** The keyring, if the newest writer that it lists signed it, and the first one is that of the header. */
async function readCandidate(
  bytes: Uint8Array<ArrayBuffer>,
  ordinal: Ordinal,
  by: { readonly found: FoundHeader; readonly tools: ReadTools; readonly problems: ReadProblem[] },
): Promise<KeyringCandidate | undefined> {
  const { found, tools, problems } = by;
  try {
    const { open, header: record } = splitRecord(bytes);
    const keyring = parseKeyring(open);
    const [first, newest] = [keyring.writers[0]!, keyring.writers.at(-1)!];
    const signer = newest.number === writerOf(ordinal) ? newest : undefined;
    const isFirst = first.number === 0 && equalBytes(first.publicKey, found.header.writerKey);
    const isSigned = await isRecordSigned(bytes, found.archiveId, async (message, mark) => {
      return signer !== undefined && tools.verify(joinBytes(signer.publicKey), message, mark);
    });
    if (isFirst && isSigned) return { keyring, bytes, ordinal, sha256: await sha256Of(bytes), epoch: record.epoch };
    noteProblem(problems, { problem: 'a keyring is not signed by the newest writer that it lists', ordinal });
  } catch (cause) {
    noteProblem(problems, { problem: 'a keyring cannot be read', ordinal, cause });
  }
  return undefined;
}
