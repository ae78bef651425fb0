import { nameOrdinal } from '../format/bytes.ts';
import type { Chain, ChainFinder, CommitLog, CommitNote, Refusal } from './commits.ts';
import type { Findings, Severity } from './findings.ts';

const refusalWords: Readonly<Record<Refusal, readonly [Severity, string, string]>> = {
  unreadable: ['notice', 'commit.unreadable', 'cannot be opened'],
  locked: ['unproven', 'commit.locked', 'belongs to a key epoch the secret does not open'],
  wrong_writer: [
    'notice',
    'commit.branch',
    'is signed by a writer who may not sign that number: a branch of an old or cloned device',
  ],
};

/** What telling the line of the head from everything else needs. */
export type Line = {
  readonly log: CommitLog;
  readonly finder: ChainFinder;
  readonly chain: Chain | undefined;
  readonly inLine: (commit: number, hash: Buffer) => boolean;
};

/**
 * Reports the commits that are there and not in the line of the head: branches, those behind a gap, and those that do
 * not count.
 */
export function reportBranches(line: Line, findings: Findings): void {
  const reached = new Set(chainHashes(line));
  for (const note of line.log.notes) {
    if (reached.has(note.hash.toString('latin1')) || line.inLine(note.number, note.hash)) continue;
    const opened = line.log.open(note);
    const records = [nameOrdinal(note.ordinal)];
    if (typeof opened === 'string') {
      const [severity, code, words] = refusalWords[opened];
      findings.add({ severity, code, message: `commit ${note.number} ${words}`, records });
    } else if (isBeyondGap(line, note)) {
      const message = `commit ${note.number} lies behind a gap in the chain of commits and is not taken`;
      findings.add({ severity: 'unproven', code: 'commit.beyond_gap', message, records });
    } else {
      findings.add({
        severity: 'notice',
        code: 'commit.branch',
        message: `commit ${note.number} is a branch: the head's chain does not reach it`,
        records,
      });
    }
  }
}

/** Hashes of the commits from the head down as far as the links go. */
function* chainHashes(line: Line): Generator<string> {
  let at: CommitNote | undefined = line.chain?.head;
  while (at !== undefined) {
    yield at.hash.toString('latin1');
    const before = line.log.find(at.previousHash);
    at = before?.number === at.number - 1 ? before : undefined;
  }
}

/** Above the head a commit can only be waiting for a lost one; below it the head's line went another way. */
function isBeyondGap(line: Line, note: CommitNote): boolean {
  return note.number > (line.chain?.head.number ?? 0);
}
