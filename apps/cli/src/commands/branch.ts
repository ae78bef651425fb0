import { type Command, InvalidArgumentError } from 'commander';
import { defineErrors } from '@holdfast/base';
import { ask } from '../agent-socket.ts';
import { bytesText, columns, timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { createProgress } from '../progress.ts';
import { confirmed } from '../confirmed.ts';
import { branchText, type ShownBranch } from './shown-branch.ts';

const branchErrors = defineErrors('branch', {
  not_all_taken_in: ['unavailable', 'Not all of the branch could be taken in; it stays as it is'],
});

type Options = { readonly json?: boolean };
type Version = {
  readonly path: string;
  readonly type: string;
  readonly commit: number;
  readonly sizeBytes?: number;
  readonly modifiedAt?: string;
};
type Taken = ShownBranch & {
  readonly dryRun?: boolean;
  readonly knownVersions: number;
  readonly storedBytes: number;
  readonly leftCount: number;
  readonly left: readonly { readonly path: string; readonly commit: number; readonly code: string }[];
};

/** `holdfast branch ...`: what one destination alone has of another life of this computer. */
export function registerBranch(program: Command): void {
  const branch = program
    .command('branch')
    .description('what one destination alone has of another life of this computer')
    .helpCommand(false);
  registerList(branch);
  registerShow(branch);
  registerTakeIn(branch);
  registerGiveUp(branch);
}

function registerList(branch: Command): void {
  branch
    .command('list')
    .description('list the branches, what only they have, and what became of them')
    .action(async ({ json }: Options) => {
      const result = await ask<{ branches: readonly ShownBranch[] }>('branch.list');
      const text = result.branches.map(branchText).join('\n');
      createOutput(json ?? false).result(result, text === '' ? 'There is no branch.' : text);
    });
}

function registerShow(branch: Command): void {
  branch
    .command('show')
    .description('list the versions of files that only a branch has, in the order in which they were made')
    .argument('<number>', 'as `branch list` shows it', parseNumber)
    .action(async (number: number, { json }: Options) => {
      const versions: Version[] = [];
      const onItem = (item: unknown) => void versions.push(item as Version);
      const shown = await ask<ShownBranch>('branch.show', { branch: number }, { onItem });
      const rows = versions.map(({ path, type, commit, sizeBytes, modifiedAt }) => {
        const size = sizeBytes === undefined ? '-' : bytesText(sizeBytes);
        return [String(commit), type, size, timeText(modifiedAt), path];
      });
      const head = ['commit', 'type', 'size', 'modified', 'path'];
      const text = rows.length === 0 ? 'It has nothing that the archive lacks.' : columns([head, ...rows]);
      createOutput(json ?? false).result({ ...shown, entries: versions }, text);
    });
}

function registerTakeIn(branch: Command): void {
  branch
    .command('take-in')
    .description('make what only a branch has older versions in the archive; what is there now stays the newest')
    .argument('<number>', 'as `branch list` shows it', parseNumber)
    .option('--dry-run', 'say how much it is, and do nothing')
    .action(async (number: number, { dryRun, json }: Options & { readonly dryRun?: boolean }) => {
      const output = createOutput(json ?? false);
      const progress = createProgress('take in', { json: output.json });
      const given = { branch: number, ...(dryRun && { dryRun }) };
      const onProgress = (found: unknown) => {
        const { storedBytes, versions } = found as { readonly storedBytes: number; readonly versions: number };
        progress.show({ doneBytes: storedBytes, detail: `${versions.toLocaleString('en')} versions` });
      };
      const taken = await ask<Taken>('branch.take-in', given, { onProgress }).finally(() => progress.end());
      output.result(taken, takenText(taken));
      if (taken.leftCount > 0) throw branchErrors.not_all_taken_in({ left: taken.leftCount, remedy: remedyForLeft });
    });
}

const remedyForLeft =
  'connect the destinations that are away, then take it in again: what is done is not done twice; what is damaged for good is let go with holdfast branch give-up';

function registerGiveUp(branch: Command): void {
  branch
    .command('give-up')
    .description('go on without what only a branch has; its destination keeps that for 30 days at least')
    .argument('<number>', 'as `branch list` shows it', parseNumber)
    .option('--yes', 'do not ask')
    .option('--undo', 'take that back, while it is kept')
    .action(
      async (number: number, { yes, undo, json }: Options & { readonly yes?: boolean; readonly undo?: boolean }) => {
        const output = createOutput(json ?? false);
        if (!undo && !yes) await confirmed(`Give up what only branch ${number} has?`, output);
        const shown = await ask<ShownBranch>(undo ? 'branch.keep' : 'branch.give-up', { branch: number });
        output.result(shown, branchText(shown));
      },
    );
}

function takenText(taken: Taken): string {
  const {
    dryRun,
    versions = 0,
    newBytes = 0,
    files = 0,
    storedBytes,
    knownVersions,
    leftCount,
    left,
    destination,
  } = taken;
  const count = (n: number, one: string) => (n === 1 ? `one ${one}` : `${n.toLocaleString('en')} ${one}s`);
  if (dryRun) {
    const what = `${count(versions, 'version')} of ${count(files, 'file')}`;
    return `${what} would be taken in from ${destination}, of which ${bytesText(newBytes)} would be stored.`;
  }
  const known = knownVersions > 0 ? `; ${knownVersions.toLocaleString('en')} were there already` : '';
  return [
    `${count(versions, 'version')} taken in from ${destination}, ${bytesText(storedBytes)} stored${known}.`,
    ...left.map(({ path, commit, code }) => `not taken in: ${path}, as of its commit ${commit} (${code})`),
    ...(leftCount > left.length ? [`and ${leftCount - left.length} more`] : []),
  ].join('\n');
}

function parseNumber(text: string): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1) return number;
  throw new InvalidArgumentError('It must be the number of a branch, as holdfast branch list shows it.');
}
