import {
  type BranchSurvey,
  comparedVersions,
  contentOf,
  millisecondsOf,
  surveyBranch,
  type TakenIn,
} from '@holdfast/archive';
import type { AgentParts } from '../agent.ts';
import { holdMs, type KnownBranch } from '../branches/branch-book.ts';
import { branchErrors } from '../branches/errors.ts';
import { branchPathText, pathOfNames } from '../branches/branch-path.ts';
import { type OpenBranch, openBranch } from '../branches/read-branch.ts';
import { takeInBranch } from '../branches/take-in-branch.ts';
import type { DestinationConfig } from '../state/agent-database.ts';
import type { Asking } from './requests.ts';
import { throttled } from './throttled.ts';

type Named = { readonly branch: number };

/**
 * `branch.list`: every branch with what is known of it. What one that nobody decided about has that the line has not is
 * added up the first time, where its destination is there.
 */
export function answerBranchList(parts: AgentParts): Promise<object> {
  const { branches, protector } = parts;
  const list = async () => {
    await protector.connect();
    for (const known of branches.all()) {
      if (known.state === 'open' && !known.survey) await surveyed(parts, known).catch(() => undefined);
    }
    return { branches: branches.all().map((known) => shownBranch(parts, known)) };
  };
  return protector.exclusive(list, { isWholeNeeded: false });
}

/** `branch.show`: the versions that the branch has and the line has not, as items, in the order in which they were made. */
export function answerBranchShow(parts: AgentParts, { branch }: Named, { send, signal }: Asking): Promise<object> {
  const { branches, protector, archive } = parts;
  branches.get(branch);
  const show = async () => {
    await protector.connect();
    const known = branches.get(branch);
    return withBranch(parts, known, async (open) => {
      let versions = 0;
      for await (const { names, row, commit, isInLine, folders } of comparedVersions(
        open.versions(),
        archive.state(),
      )) {
        signal.throwIfAborted();
        if (isInLine) continue;
        versions++;
        const { modifiedAt } = row;
        const facts = {
          type: row.type,
          commit,
          sizeBytes: row.type === 'file' ? (contentOf(row)?.size ?? 0) : undefined,
        };
        const at = modifiedAt && new Date(millisecondsOf(modifiedAt)).toISOString();
        await send({ item: { path: branchPathText(pathOfNames(folders, names)), ...facts, modifiedAt: at } });
      }
      return { ...shownBranch(parts, known), versions };
    });
  };
  return protector.exclusive(show, { isWholeNeeded: false });
}

/**
 * `branch.take-in`: with `dryRun`, how much it would be. What could not be taken in is listed, and the branch stays open. One
 * that went on since it was found is taken in as it is now.
 */
export function answerBranchTakeIn(
  parts: AgentParts,
  { branch, dryRun = false }: Named & { readonly dryRun?: boolean | undefined },
  asking: Asking,
): Promise<object> {
  const { branches, protector, clock, log } = parts;
  const asked = undecided(parts, branch);
  const take = async () => {
    await protector.connect();
    // What was known before may be shorter than what lies there now.
    const known = undecided(parts, asked.branch);
    if (dryRun) return { dryRun, ...shownBranch(parts, await surveyed(parts, known)) };
    const send = throttled(asking, clock);
    const signal = AbortSignal.any([asking.signal, parts.signal]);
    const taken = await withBranch(parts, known, (open) =>
      takeInBranch(parts, known, { open, signal, onProgress: (progress) => send({ progress }) }),
    );
    if (taken.leftCount === 0) {
      decide(parts, known, 'taken_in', asking);
      log.info('a branch was taken in', { branch, versions: taken.versions, storedBytes: taken.storedBytes });
    }
    await protector.connect();
    return { ...shownTaken(taken), ...shownBranch(parts, branches.get(branch)) };
  };
  return protector.exclusive(take, { isWholeNeeded: false });
}

/**
 * `branch.give-up`: its destination goes on with the line; the branch's records stay there for one hold at least.
 *
 * @throws branches.went_on where the destination has more of it than was known when this was asked
 */
export function answerBranchGiveUp(parts: AgentParts, { branch }: Named, asking: Asking): Promise<object> {
  const { branches, protector, log } = parts;
  const asked = undecided(parts, branch);
  const giveUp = async () => {
    await protector.connect();
    decide(parts, asked, 'given_up', asking);
    log.info('a branch was given up', { branch, uid: asking.caller.uid });
    await protector.connect();
    return shownBranch(parts, branches.get(branch));
  };
  return protector.exclusive(giveUp, { isWholeNeeded: false });
}

/** `branch.keep`: takes back that a branch was given up, as long as it is held. */
export function answerBranchKeep(parts: AgentParts, { branch }: Named, asking: Asking): object {
  const { branches, clock, log } = parts;
  const { state, decidedAtMs = 0 } = branches.get(branch);
  if (state !== 'given_up') throw branchErrors.undecided({ branch, state });
  if (clock.now() >= decidedAtMs + holdMs)
    throw branchErrors.let_go({ branch, until: new Date(decidedAtMs + holdMs).toISOString() });
  log.info('a branch is kept after all', { branch, uid: asking.caller.uid });
  return shownBranch(parts, branches.reopen(branch));
}

/** As it is known now. @throws branches.decided */
function undecided({ branches }: AgentParts, branch: number): KnownBranch {
  const known = branches.get(branch);
  if (known.state !== 'open') throw branchErrors.decided({ branch, state: known.state });
  return known;
}

/** Takes down what becomes of a branch up to the head that was looked at. @throws branches.went_on where it has another now */
function decide(
  parts: AgentParts,
  { branch, head }: KnownBranch,
  state: 'taken_in' | 'given_up',
  { caller }: Asking,
): void {
  if (undecided(parts, branch).head.sha256 !== head.sha256) throw branchErrors.went_on({ branch });
  parts.branches.change(branch, { state, decidedAtMs: Math.round(parts.clock.now()), decidedBy: caller.uid });
}

async function withBranch<T>(
  { destinations, archive }: AgentParts,
  known: KnownBranch,
  work: (open: OpenBranch) => Promise<T>,
): Promise<T> {
  return destinations.reading(known.destinationId, async (session) => work(await openBranch(archive, session, known)));
}

async function surveyed(parts: AgentParts, known: KnownBranch): Promise<KnownBranch> {
  const { archive, branches } = parts;
  const line = { state: archive.state(), index: archive.index };
  const survey = await withBranch(parts, known, (open) => surveyBranch(open.versions(), open, line));
  return branches.change(known.branch, { survey });
}

function shownTaken({ left, ...counts }: TakenIn): object {
  return { ...counts, left: left.map(({ names, ...facts }) => ({ path: branchPathText(names), ...facts })) };
}

/** A branch for people and programs; the times are those of its commits. */
export function shownBranch({ destinations }: Pick<AgentParts, 'destinations'>, known: KnownBranch): object {
  const { branch, head, firstCommit, firstAtMs, lastAtMs, state, decidedAtMs, survey, isMixed, destinationId } = known;
  const config = destinations.configs.find((each) => each.destinationId === destinationId);
  return {
    branch,
    destination: nameOf(config),
    state,
    fromCommit: firstCommit,
    toCommit: head.number,
    from: new Date(firstAtMs).toISOString(),
    to: new Date(lastAtMs).toISOString(),
    isMixed,
    ...(survey && figures(survey)),
    ...(decidedAtMs !== undefined && { decidedAt: new Date(decidedAtMs).toISOString() }),
    ...(state === 'given_up' && { keptUntil: new Date((decidedAtMs ?? 0) + holdMs).toISOString() }),
  };
}

function nameOf(config: DestinationConfig | undefined): string | undefined {
  return config?.name;
}

function figures({ files, versions, versionBytes, newBytes }: BranchSurvey): object {
  return { files, versions, versionBytes, newBytes };
}
