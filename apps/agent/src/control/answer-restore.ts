import { type PlanLine, type PlanPiece, restoreErrors } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import type { AgentParts } from '../agent.ts';
import { momentAt } from '../browse/browse.ts';
import { findLostPath, foldersOnTheWay, wayKey } from '../browse/lost-path.ts';
import { joined, pathToText, textToPath } from '../browse/path-text.ts';
import { readerFor } from '../browse/permitted-reader.ts';
import { fileErrors } from '../filesystem/errors.ts';
import { planForCaller } from '../user-restore/dry-run.ts';
import { lastingDestinations } from '../user-restore/lasting-destinations.ts';
import { type CallerRestore, restoreForCaller } from '../user-restore/restore-for-caller.ts';
import { explainMissing } from './holder-away.ts';
import type { Asking } from './requests.ts';
import { throttled } from './throttled.ts';

const roomErrors: readonly string[] = [fileErrors.disk_full.code, fileErrors.quota_exceeded.code];

type Given = {
  readonly paths: readonly string[];
  readonly at?: string | undefined;
  readonly to?: string | undefined;
  readonly deleted?: boolean | undefined;
  readonly onConflict?: 'rename' | 'overwrite' | 'skip' | undefined;
  readonly setuid?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
};

/**
 * `restore`: only what the caller may read, written as the caller. Paths in the answer are relative to the target; of a
 * restore in place they are those of the machine. With `dryRun` what would be made comes as items, and nothing is written.
 */
export async function answerRestore(parts: AgentParts, given: Given, asking: Asking): Promise<object> {
  const { paths, at, to, deleted = false, onConflict = 'rename', setuid = false, dryRun = false } = given;
  await parts.protector.reach();
  const state = parts.archive.state(() => lastingDestinations(parts));
  const moment = await momentAt(state, at, parts.commitClock.read().atMs);
  const target = to === undefined ? undefined : textToPath(to);
  const wanted = { paths: paths.map(textToPath), commit: moment.commit, deleted, target, onConflict, setuid };
  try {
    const answer = dryRun ? await planned(parts, wanted, asking) : await restored(parts, wanted, asking);
    return { ...answer, ...moment };
  } catch (error) {
    throw await explained(parts, wanted, { error, asking });
  }
}

async function restored(parts: AgentParts, wanted: CallerRestore, asking: Asking): Promise<object> {
  const send = throttled(asking, parts.clock);
  const report = await restoreForCaller(parts, asking.caller, wanted, {
    signal: asking.signal,
    onProgress: (progress) => send({ progress }),
  });
  const isInPlace = wanted.target === undefined;
  const shownPath = (path: Uint8Array) => pathToText(isInPlace ? joined(Buffer.from('/'), path) : path);
  const shown = ({ path, code, message }: (typeof report.failed)[number]) =>
    explainMissing(parts, asking.caller, { path: shownPath(path), code, message });
  // Folders that were only passed through are nobody's wish.
  const passed = isInPlace ? foldersOnTheWay(wanted.paths).size : 0;
  return {
    ...report,
    directories: Math.max(0, report.directories - passed),
    failed: report.failed.map(shown),
    problems: report.problems.map(shown),
    renamed: report.renamed.map(({ path, name }) => ({ path: shownPath(path), name: pathToText(name) })),
  };
}

async function planned(parts: AgentParts, wanted: CallerRestore, { caller, send }: Asking): Promise<object> {
  const onTheWay = wanted.target === undefined ? foldersOnTheWay(wanted.paths) : new Set<string>();
  const target = wanted.target ?? Buffer.from('/');
  const counts = { entries: 0, directories: 0, totalBytes: 0, damaged: 0 };
  await planForCaller(parts, caller, wanted, async (line) => {
    const { path, type, sizeBytes, isLink, problem } = line;
    const isDirectory = type === 'directory';
    if (isDirectory && onTheWay.has(wayKey(path))) return;
    if (isDirectory) counts.directories++;
    else counts.entries++;
    if (!isLink) counts.totalBytes += sizeBytes;
    if (problem) counts.damaged++;
    const size = type === 'file' ? { sizeBytes } : {};
    const told = problem && { problem: explainMissing(parts, caller, problem) };
    const facts = { path: pathToText(joined(target, path)), type, ...size, ...told };
    await sendLine({ ...facts, ...(!problem && whatItIs(line)) }, problem ? [] : line.pieces(), send);
  });
  return { dryRun: true, ...counts };
}

/** What an entry without content is, so that whoever asks can compare it with what is there. */
function whatItIs({ target, device }: PlanLine): object {
  return { ...(target && { target: pathToText(target) }), ...(device && { device }) };
}

/** An entry, and its content as pieces of it: some of them with it, more in items of their own that follow. */
async function sendLine(item: object, slices: Iterable<readonly PlanPiece[]>, send: Asking['send']): Promise<void> {
  const shown = (pieces: readonly PlanPiece[]) =>
    pieces.map(({ position, length, sha256 }) => [position, length, Buffer.from(sha256).toString('base64')]);
  let isFirst = true;
  for (const slice of slices) {
    await send({ item: { ...(isFirst && item), pieces: shown(slice) } });
    isFirst = false;
  }
  if (isFirst) await send({ item });
}

/** A target that takes no more: where that was, what is there by now, and how to go on. */
function withPlace(error: CodedError, target: Uint8Array): CodedError {
  const { code, kind, message, details } = error;
  const { path } = details;
  const place = path instanceof Uint8Array ? { path: pathToText(joined(target, path)) } : {};
  const remedy = 'make room there, then restore again: what is restored already is kept, and not fetched anew';
  return new CodedError({ code, kind, message, details: { ...details, ...place, remedy } }, { cause: error });
}

/** A path that is not there is named, with what finds it; a full disk with what was at hand. */
async function explained(
  { archive }: AgentParts,
  { paths, commit, deleted, target = Buffer.from('/') }: CallerRestore,
  { error, asking }: { readonly error: unknown; readonly asking: Asking },
): Promise<unknown> {
  const isFull = error instanceof CodedError && roomErrors.includes(error.code);
  if (isFull) return withPlace(error, target);
  if (!(error instanceof CodedError) || error.code !== restoreErrors.not_found.code) return error;
  const lost = await findLostPath(readerFor(archive.state(), asking.caller), paths, { commit, deleted });
  if (!lost) return error;
  const remedy = lost.wasThere
    ? 'it was there before: add --deleted for what it was last, or choose an earlier time with --at'
    : 'holdfast find --deleted NAME finds what is there, and what was';
  return restoreErrors.not_found({ field: 'paths', path: pathToText(lost.path), remedy }, error);
}
