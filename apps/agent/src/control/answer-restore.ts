import type { AgentParts } from '../agent.ts';
import { momentAt } from '../browse/browse.ts';
import { pathToText, textToPath } from '../browse/path-text.ts';
import { restoreForCaller } from '../user-restore/restore-for-caller.ts';
import type { Asking } from './requests.ts';
import { throttled } from './throttled.ts';

type Given = {
  readonly paths: readonly string[];
  readonly at?: string | undefined;
  readonly to?: string | undefined;
  readonly deleted?: boolean | undefined;
  readonly onConflict?: 'rename' | 'overwrite' | 'skip' | undefined;
  readonly setuid?: boolean | undefined;
};

/** `restore`: only what the caller may read, written as the caller. Paths in the answer are relative to the target. */
export async function answerRestore(parts: AgentParts, given: Given, asking: Asking): Promise<object> {
  const { paths, at, to, deleted = false, onConflict = 'rename', setuid = false } = given;
  const moment = await momentAt(parts.archive.state(), at, parts.commitClock.read().atMs);
  const send = throttled(asking, parts.clock);
  const target = to === undefined ? undefined : textToPath(to);
  const wanted = { paths: paths.map(textToPath), commit: moment.commit, deleted, target, onConflict, setuid };
  const report = await restoreForCaller(parts, asking.caller, wanted, {
    signal: asking.signal,
    onProgress: (progress) => send({ progress }),
  });
  const shown = ({ path, code, message }: (typeof report.failed)[number]) => ({
    path: pathToText(path),
    code,
    message,
  });
  return {
    ...report,
    ...moment,
    failed: report.failed.map(shown),
    problems: report.problems.map(shown),
    renamed: report.renamed.map(({ path, name }) => ({ path: pathToText(path), name: pathToText(name) })),
  };
}
