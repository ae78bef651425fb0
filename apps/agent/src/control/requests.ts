/** What can be asked on the control socket, by whom, and who answers. */
import { problemsInWords } from '@holdfast/contract';
import { z } from 'zod';
import type { AgentParts } from '../agent.ts';
import type { Caller } from '../browse/caller.ts';
import { controlErrors } from './errors.ts';
import { answerFind, answerList, answerVersions, answerWhy } from './answer-browse.ts';
import {
  answerBranchGiveUp,
  answerBranchKeep,
  answerBranchList,
  answerBranchShow,
  answerBranchTakeIn,
} from './answer-branches.ts';
import { answerDestinationAdd, answerDestinationList, answerDestinationRemove } from './answer-destinations.ts';
import { answerKeyLog, answerKeyLogHead, answerKeyLogSeen } from './answer-key-log.ts';
import { answerKeyList, answerKeyUseOwn, answerKeyUseStandard, UseOwn } from './answer-key-use.ts';
import {
  answerWitnessAdd,
  answerWitnessList,
  answerWitnessRemove,
  WitnessAdd,
  WitnessRemove,
} from './answer-key-witnesses.ts';
import { answerKeyConfirm, answerKeyExport, answerKeyShow } from './answer-keys.ts';
import { answerBackup } from './answer-backup.ts';
import {
  answerReleaseList,
  answerReleaseRequest,
  answerReleaseForget,
  answerReleaseTake,
  AskRelease,
  OneRelease,
} from './answer-releases.ts';
import { answerSetAdd, answerSetChange, answerSetList, answerSetRemove } from './answer-sets.ts';
import { answerKeyReseal, Reseal } from './answer-reseal.ts';
import { answerRestore } from './answer-restore.ts';
import { answerHandOver } from './answer-hand-over.ts';
import { explainMissingError } from './holder-away.ts';
import { answerStatus } from './answer-status.ts';
import { answerVerify } from './answer-verify.ts';

/** Who asked, and how to send what comes before the result. */
export type Asking = {
  readonly caller: Caller;
  /** `{progress}` or `{item}`. */
  readonly send: (message: object) => Promise<void>;
  /** Aborted when the peer is gone. */
  readonly signal: AbortSignal;
};

type Definition = {
  /** `anyone` gets what the rules of each answer let them see; the rest is for root and the agent's own user. */
  readonly who: 'anyone' | 'privileged';
  readonly arguments: z.ZodType;
  readonly answer: (parts: AgentParts, given: never, asking: Asking) => Promise<object> | object;
};

const PathText = z.string().min(1).max(65_536).startsWith('/', 'it must begin with a slash');
const NamedBranch = z.strictObject({ branch: z.int().min(1) });
const At = z.string().min(1).max(100).optional();

function define<T extends z.ZodType>(
  who: Definition['who'],
  shape: T,
  answer: (parts: AgentParts, given: z.infer<T>, asking: Asking) => Promise<object> | object,
): Definition {
  return { who, arguments: shape, answer };
}

/** Every request by its name. */
export const requests: Readonly<Record<string, Definition>> = {
  status: define('anyone', z.strictObject({}), answerStatus),
  why: define('anyone', z.strictObject({ path: PathText }), answerWhy),
  ls: define('anyone', z.strictObject({ path: PathText, at: At, deleted: z.boolean().optional() }), answerList),
  versions: define('anyone', z.strictObject({ path: PathText }), answerVersions),
  find: define(
    'anyone',
    z.strictObject({ pattern: z.string().min(1).max(4096), at: At, deleted: z.boolean().optional() }),
    answerFind,
  ),
  restore: define(
    'anyone',
    z.strictObject({
      paths: z.array(PathText).min(1).max(10_000),
      at: At,
      to: PathText.optional(),
      deleted: z.boolean().optional(),
      onConflict: z.enum(['rename', 'overwrite', 'skip']).optional(),
      setuid: z.boolean().optional(),
      dryRun: z.boolean().optional(),
    }),
    answerRestore,
  ),
  backup: define('privileged', z.strictObject({ set: z.string().optional() }), answerBackup),
  verify: define('privileged', z.strictObject({ full: z.boolean().optional() }), answerVerify),
  'set.list': define('privileged', z.strictObject({}), answerSetList),
  'set.add': define('privileged', z.strictObject({ set: z.unknown() }), answerSetAdd),
  'set.change': define('privileged', z.strictObject({ name: z.string(), set: z.unknown() }), answerSetChange),
  'set.remove': define('privileged', z.strictObject({ name: z.string() }), answerSetRemove),
  'destination.list': define('privileged', z.strictObject({}), answerDestinationList),
  'destination.add': define('privileged', z.strictObject({ folder: z.string().max(16_384) }), answerDestinationAdd),
  'destination.remove': define(
    'privileged',
    z.strictObject({ name: z.string(), isGone: z.boolean().optional() }),
    answerDestinationRemove,
  ),
  'branch.list': define('privileged', z.strictObject({}), answerBranchList),
  'branch.show': define('privileged', NamedBranch, answerBranchShow),
  'branch.take-in': define('privileged', NamedBranch.extend({ dryRun: z.boolean().optional() }), answerBranchTakeIn),
  'branch.give-up': define('privileged', NamedBranch, answerBranchGiveUp),
  'branch.keep': define('privileged', NamedBranch, answerBranchKeep),
  'key.show-recovery': define('privileged', z.strictObject({}), answerKeyShow),
  'key.confirm-recovery': define('privileged', z.strictObject({ code: z.string().max(2000) }), answerKeyConfirm),
  'key.list': define('privileged', z.strictObject({}), answerKeyList),
  'key.use-own': define('privileged', UseOwn, answerKeyUseOwn),
  'key.use-standard': define('privileged', z.strictObject({ dryRun: z.boolean().optional() }), answerKeyUseStandard),
  'agent.hand-over': define('privileged', z.strictObject({ document: z.string().max(10_000) }), answerHandOver),
  'key.reseal': define('privileged', Reseal, answerKeyReseal),
  'key.export': define('privileged', z.strictObject({}), answerKeyExport),
  'key.log': define('privileged', z.strictObject({}), answerKeyLog),
  'key.log-head': define('privileged', z.strictObject({}), answerKeyLogHead),
  'key.log-seen': define('privileged', z.strictObject({ upTo: z.number().int().min(0) }), answerKeyLogSeen),
  'key.release-request': define('privileged', AskRelease, answerReleaseRequest),
  'key.release-list': define('privileged', z.strictObject({}), answerReleaseList),
  'key.release-take': define('privileged', OneRelease, answerReleaseTake),
  'key.release-forget': define('privileged', OneRelease, answerReleaseForget),
  'key.witness-add': define('privileged', WitnessAdd, answerWitnessAdd),
  'key.witness-list': define('privileged', z.strictObject({}), answerWitnessList),
  'key.witness-remove': define('privileged', WitnessRemove, answerWitnessRemove),
};

/** Answers one request. @throws control.invalid with the field, control.not_allowed, and what the answer throws */
export async function answerRequest(parts: AgentParts, message: unknown, asking: Asking): Promise<object> {
  const named = z.looseObject({ request: z.string() }).safeParse(message);
  if (!named.success) throw controlErrors.invalid({ field: 'request', problem: 'it must be the name of a request' });
  const { request, ...rest } = named.data;
  const definition = Object.hasOwn(requests, request) ? requests[request] : undefined;
  if (!definition) throw controlErrors.invalid({ field: 'request', problem: 'it must be a request that there is' });
  if (definition.who === 'privileged' && !asking.caller.isPrivileged) throw controlErrors.not_allowed({ request });
  const given = definition.arguments.safeParse(rest);
  if (!given.success) {
    const [{ field, problem }] = problemsInWords(given.error, rest);
    throw controlErrors.invalid({ field: field || 'request', problem });
  }
  try {
    return await definition.answer(parts, given.data as never, asking);
  } catch (error) {
    throw explainMissingError(parts, asking.caller, error);
  }
}
