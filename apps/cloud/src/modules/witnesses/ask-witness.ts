import { CodedError } from '@holdfast/base';
import { openCosignatures, type Cosignature, type Hash } from '@holdfast/trust';
import { egressErrors, type Egress, type EgressReply } from '../../platform/egress.ts';
import { witnessErrors } from './errors.ts';
import type { Witness } from './witness.ts';

/** A head as it is submitted to a witness. */
export type Submission = {
  /** The size of the head that the witness is said to have cosigned last; 0 for none. */
  readonly oldSize: number;
  /** That the head continues the log of that size. */
  readonly proof: readonly Hash[];
  readonly treeSize: number;
  readonly note: string;
};

/** What a witness does with it: it cosigns it, or says the size of the head that it cosigned last. */
export type WitnessAnswer =
  | { readonly outcome: 'cosigned'; readonly cosignature: Cosignature }
  | { readonly outcome: 'conflict'; readonly witnessSize: number };

/** How witnesses are asked. */
export type AskingWitnesses = {
  readonly egress: Egress;
  /** Trusted CAs (PEM) instead of the well-known ones. */
  readonly ca?: string | undefined;
  readonly signal: AbortSignal;
};

const TIMEOUT_MS = 10_000;
/** Some lines of signatures; such of the future are some kilobytes each. */
const MAX_REPLY_BYTES = 64 * 1024;
const SIZE_TYPE = 'text/x.tlog.size';

/**
 * Submits a head to a witness. Source: C2SP, tlog-witness, add-checkpoint.
 *
 * @throws witness.away, witness.garbled, witness.unknown_log, witness.refused, witness.forked
 */
export async function askWitness(
  witness: Witness,
  submission: Submission,
  { egress, ca, signal }: AskingWitnesses,
): Promise<WitnessAnswer> {
  const about = { witness: witness.key.name };
  let reply: EgressReply;
  try {
    reply = await egress.request({
      url: `${witness.url}/add-checkpoint`,
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: bodyOf(submission),
      timeoutMs: TIMEOUT_MS,
      maxReplyBytes: MAX_REPLY_BYTES,
      signal,
      ...(ca !== undefined && { ca }),
    });
  } catch (error) {
    signal.throwIfAborted();
    const isTooLarge = error instanceof CodedError && error.code === egressErrors.reply_too_large.code;
    throw (isTooLarge ? witnessErrors.garbled : witnessErrors.away)({ ...about, problem: String(error) }, error);
  }
  return readReply(witness, submission, reply);
}

function bodyOf({ oldSize, proof, note }: Submission): string {
  const lines = proof.map((hash) => `${Buffer.from(hash).toString('base64')}\n`);
  return `old ${oldSize}\n${lines.join('')}\n${note}`;
}

function readReply(witness: Witness, submission: Submission, { status, headers, body }: EgressReply): WitnessAnswer {
  const about = { witness: witness.key.name, treeSize: submission.treeSize, status };
  const text = body.toString('utf8');
  if (status === 200) return { outcome: 'cosigned', cosignature: readCosignature(witness, submission, text) };
  if (status === 409) return { outcome: 'conflict', witnessSize: readSize(witness, submission, { headers, text }) };
  if (status === 404) throw witnessErrors.unknown_log(about);
  if (status === 403) throw witnessErrors.refused(about);
  if (status === 422) throw witnessErrors.forked({ ...about, witnessSize: submission.oldSize });
  throw (status === 429 || status >= 500 ? witnessErrors.away : witnessErrors.garbled)(about);
}

/** What it sends are lines alone: with an empty one among them, what was signed would be another text. */
function readCosignature({ key }: Witness, { note }: Submission, lines: string): Cosignature {
  const about = { witness: key.name, status: 200 };
  if (!/^(?:[^\n]+\n)+$/.test(lines)) throw witnessErrors.garbled({ ...about, problem: 'it sends no signature lines' });
  let found: readonly Cosignature[];
  try {
    found = openCosignatures(note + lines, [key]);
  } catch (error) {
    throw witnessErrors.garbled({ ...about, problem: String(error) }, error);
  }
  const [cosignature] = found;
  if (!cosignature) throw witnessErrors.garbled({ ...about, problem: 'no line is of its key' });
  return cosignature;
}

/** The size it knows. Of a head of the very size that it was shown it need not say it: its root is another one. */
function readSize(
  { key }: Witness,
  { oldSize, treeSize }: Submission,
  { headers, text }: { readonly headers: EgressReply['headers']; readonly text: string },
): number {
  const [type] = String(headers['content-type'] ?? '').split(';');
  const size = /^(0|[1-9]\d{0,15})\n$/.exec(text)?.[1];
  if (type?.trim().toLowerCase() === SIZE_TYPE && size !== undefined && Number.isSafeInteger(Number(size)))
    return Number(size);
  if (oldSize === treeSize) return treeSize;
  throw witnessErrors.garbled({ witness: key.name, status: 409, problem: 'it does not say the size it knows' });
}
