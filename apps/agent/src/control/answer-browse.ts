import { namesOfPath } from '@holdfast/archive';
import type { AgentParts } from '../agent.ts';
import { findEntries, listPath, momentAt, versionsOf } from '../browse/browse.ts';
import { textToPath, pathToText } from '../browse/path-text.ts';
import { readerFor } from '../browse/permitted-reader.ts';
import type { Asking } from './requests.ts';

/** `ls`: entries come as items, then how many and as of when. */
export async function answerList(
  parts: AgentParts,
  { path, at, deleted = false }: { path: string; at?: string | undefined; deleted?: boolean | undefined },
  { caller, send }: Asking,
): Promise<object> {
  const state = parts.archive.state();
  const moment = await momentAt(state, at, parts.commitClock.read().atMs);
  const options = { commit: moment.commit, deleted };
  let entries = 0;
  for await (const item of listPath(readerFor(state, caller), textToPath(path), options)) {
    await send({ item });
    entries++;
  }
  return { entries, ...moment };
}

/** `versions`: all versions of a path that the caller may read, oldest first. */
export async function answerVersions(
  parts: AgentParts,
  { path }: { path: string },
  { caller }: Asking,
): Promise<object> {
  const state = parts.archive.state();
  return { versions: await versionsOf(state, readerFor(state, caller), textToPath(path)) };
}

/** `find`: entries come as items. */
export async function answerFind(
  parts: AgentParts,
  { pattern, at, deleted = false }: { pattern: string; at?: string | undefined; deleted?: boolean | undefined },
  { caller, send, signal }: Asking,
): Promise<object> {
  const state = parts.archive.state();
  const moment = await momentAt(state, at, parts.commitClock.read().atMs);
  let entries = 0;
  const options = { commit: moment.commit, deleted, signal, home: caller.home };
  for await (const item of findEntries(readerFor(state, caller), pattern, options)) {
    await send({ item });
    entries++;
  }
  return { entries, ...moment };
}

/** `why`: what the rules say of a path. Only who may read it hears whether it is in the archive, and since when. */
export async function answerWhy(parts: AgentParts, { path }: { path: string }, { caller }: Asking): Promise<object> {
  const bytes = textToPath(path);
  namesOfPath(bytes);
  const decision = parts.protector.selection.decide(bytes);
  const sets = parts.database.sets();
  const rule =
    decision.status === 'selected'
      ? {
          status: 'selected',
          sets: sets.filter(({ number }) => decision.sets.includes(number)).map(({ name }) => name),
        }
      : decision;
  const state = parts.archive.state();
  const versions = state.head === 0 ? [] : await versionsOf(state, readerFor(state, caller), bytes).catch(() => []);
  const newest = versions.at(-1);
  const problem = caller.isPrivileged
    ? parts.protector.view.problems.find((each) => Buffer.compare(each.path, bytes) === 0)
    : undefined;
  return {
    path: pathToText(bytes),
    ...rule,
    ...(newest && { newest: { from: newest.from, until: newest.until, type: newest.type } }),
    ...(problem && { problem: { code: problem.code, message: problem.message } }),
  };
}
