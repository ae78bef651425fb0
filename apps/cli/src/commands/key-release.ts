import { type Command, InvalidArgumentError } from 'commander';
import type { ReleaseState } from '@holdfast/contract';
import type { ReleaseClient } from '@holdfast/agent/releases';
import { shownOf } from '@holdfast/sdk';
import { absolutePath, ask } from '../agent-socket.ts';
import { proxyEnvironment } from '../config.ts';
import { commandErrors } from '../errors.ts';
import { timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { writeNewFile } from './new-file.ts';

type WithKey = { readonly key?: string; readonly json?: boolean };

const keyOption = [
  '--key <file>',
  "a person's key (key person new); without it this computer asks with its own",
] as const;
const personOption = ['--key <file>', "a person's key (key person new)"] as const;

/** `holdfast key release ...`: keys that the organisation holds in escrow, asked for, approved and taken. */
export function registerKeyRelease(key: Command): void {
  const release = key
    .command('release')
    .description('keys of an archive that are in escrow: ask for them, approve, take them; the key log has all of it')
    .helpCommand(false);
  registerRequest(release);
  release
    .command('list')
    .description('what was asked for, the newest first')
    .option(...keyOption)
    .action(async ({ key: file, json }: WithKey) => {
      const releases = await listed(file);
      const text = releases.length === 0 ? 'Nothing was asked for.' : releases.map(lineOf).join('\n');
      createOutput(json ?? false).result({ releases }, text);
    });
  release
    .command('show <request>')
    .description('one of them in full, as it was signed; the beginning of its hash is enough')
    .option(...keyOption)
    .action(async (name: string, { key: file, json }: WithKey) => {
      const one = oneOf(await listed(file), name);
      createOutput(json ?? false).result(one, fullText(one));
    });
  release
    .command('approve <request>')
    .description(
      'approve one, named by its whole hash as show says it; with the last approval that is needed, and after the delay of the rules, it is opened',
    )
    .requiredOption(...personOption)
    .action(async (name: string, { key: file, json }: WithKey) => {
      const state = await asPerson(file!, async (client) =>
        client.approve(oneOf(await client.list(), wholeHash(name, 'release show'))),
      );
      createOutput(json ?? false).result(state, fullText(state));
    });
  release
    .command('refuse <request>')
    .description('refuse one for good, as long as it was not opened: who may approve, or who asked for it')
    .requiredOption(...personOption)
    .action(async (name: string, { key: file, json }: WithKey) => {
      const refuse = async (client: ReleaseClient) => client.refuse(oneOf(await client.list(), name).requestSha256);
      const state = await asPerson(file!, refuse);
      createOutput(json ?? false).result(state, fullText(state));
    });
  release
    .command('take <request>')
    .description('take what was released to a request made here, as a file that holdfast recover --read-keys reads')
    .requiredOption('--out <file>', 'a new file, readable by its owner alone')
    .option(...keyOption)
    .action(take);
}

type Asked = WithKey & {
  readonly archive?: string;
  readonly reason: string;
  readonly case?: string;
  readonly epochs: readonly number[] | 'all';
  readonly days: number;
  readonly ring?: boolean;
  readonly dryRun?: boolean;
};

function registerRequest(release: Command): void {
  release
    .command('request')
    .description('ask for the keys that read an archive: this computer for its own, a person for any')
    .requiredOption('--reason <text>', 'why, for those who approve and for whose backups they are')
    .option('--archive <name>', 'whose: the name of the computer, its id, or that of the archive; for a person')
    .option('--epochs <numbers>', 'which epochs, as 0,2,3 (all)', parseEpochs, 'all')
    .option('--case <id>', 'of the legal case or ticket it is for')
    .option('--days <number>', 'how long the request counts', parseDays, 14)
    .option('--ring', 'the whole ring instead, for a computer that replaces another; for a person')
    .option('--dry-run', 'say what would be asked for, and ask for nothing')
    .option(...keyOption)
    .action(async (options: Asked) => {
      const { reason, days, epochs, case: caseId = null, dryRun, archive, key: file, ring } = options;
      const output = createOutput(options.json ?? false);
      if (file === undefined && (archive !== undefined || ring)) {
        const remedy = 'name the key of the person who asks: --key FILE';
        throw commandErrors.invalid({ reason: 'a computer asks for its own archive alone, to read it', remedy });
      }
      const wanted = { reason, days, epochs: ring ? ('all' as const) : epochs, caseId };
      const asked: ReleaseState | Described =
        file === undefined
          ? await ask('key.release-request', { ...wanted, ...(dryRun && { dryRun }) })
          : await asPerson<ReleaseState | Described>(file, (client) =>
              dryRun ? client.describe(archive) : client.request({ ...wanted, archive, scope: ring ? 'ring' : 'read' }),
            );
      if ('state' in asked) return output.result(asked, fullText(asked));
      const text = `Nothing was asked for. It would be the archive ${asked.archiveId} of ${String(shownOf(asked.deviceName))}, keyring ${asked.keyringNumber}`;
      return output.result({ dryRun: true, ...asked }, text);
    });
}

type Described = { readonly archiveId: string; readonly deviceName: string; readonly keyringNumber: number };
type Taken = { readonly archiveId: string; readonly epochs: readonly number[]; readonly readKeys: string };

async function take(name: string, { key: file, out, json }: WithKey & { readonly out: string }): Promise<void> {
  const { releaseClientErrors } = await import('@holdfast/agent/releases');
  const { requestSha256 } = oneOf(await listed(file), name);
  const { archiveId, epochs, readKeys } =
    file === undefined
      ? await ask<Taken>('key.release-take', { requestSha256 })
      : await asPerson(file, (client) => takenBy(client, requestSha256));
  const written = absolutePath(out);
  writeNewFile(written, readKeys, releaseClientErrors);
  // Only now: an answer that was lost is taken again within a day.
  if (file === undefined) await ask('key.release-forget', { requestSha256 });
  else await asPerson(file, (client) => Promise.resolve(client.forget(requestSha256)));
  const what = `It reads epochs ${epochs.join(', ')} of the archive ${archiveId}, and whoever has it reads them.`;
  const next = `holdfast recover FOLDER --read-keys ${out} --to FOLDER`;
  createOutput(json ?? false).result(
    { file: written, archiveId, epochs },
    `The keys are in ${written}. ${what}\n${next}`,
  );
}

async function takenBy(client: ReleaseClient, requestSha256: string): Promise<Taken> {
  const { releaseClientErrors } = await import('@holdfast/agent/releases');
  const { formatReadKeyFile } = await import('@holdfast/trust');
  const { keys, leaf, wipe } = await client.take(requestSha256);
  try {
    if (keys.scope === 'ring') throw releaseClientErrors.is_a_ring({ archiveId: leaf.archiveId });
    const bytes = Uint8Array.fromHex(leaf.archiveId.replaceAll('-', ''));
    const readKeys = formatReadKeyFile({ archiveId: bytes, epochs: keys.epochs });
    return { archiveId: leaf.archiveId, epochs: keys.epochs.map(({ epoch }) => epoch), readKeys };
  } finally {
    wipe();
  }
}

async function listed(file: string | undefined): Promise<readonly ReleaseState[]> {
  if (file !== undefined) return asPerson(file, (client) => client.list());
  return (await ask<{ readonly releases: readonly ReleaseState[] }>('key.release-list')).releases;
}

/** Does something with a person's key. */
export async function asPerson<T>(file: string, work: (client: ReleaseClient) => Promise<T>): Promise<T> {
  const { withPerson } = await import('@holdfast/agent/releases');
  return withPerson(absolutePath(file), { proxyEnv: proxyEnvironment() }, work);
}

/** What is approved is named by its whole hash: to a part of one a server could fit another document. */
export function wholeHash(name: string, shownBy: string): string {
  if (/^[0-9a-f]{64}$/i.test(name)) return name;
  const remedy = `holdfast key ${shownBy} shows it in full with its hash: name all 64 characters`;
  throw commandErrors.invalid({ reason: 'what is approved is named by its whole hash', remedy });
}

function oneOf(releases: readonly ReleaseState[], name: string): ReleaseState {
  const found = releases.filter(({ requestSha256 }) => name !== '' && requestSha256.startsWith(name.toLowerCase()));
  const remedy = 'holdfast key release list shows them: name enough of the beginning of one';
  if (found.length > 1) throw commandErrors.invalid({ reason: `${found.length} requests begin with ${name}`, remedy });
  if (found[0] === undefined) throw commandErrors.invalid({ reason: `no request begins with ${name}`, remedy });
  return found[0];
}

const purposeTexts: Readonly<Record<string, string>> = {
  own_restore: 'a computer for its own backups',
  admin_restore: 'somebody else for the backups of a computer',
  replacement: 'the whole ring, to replace a computer',
};

function stateText({ state, approvals, approvalsNeeded, opensAt, code, expiresAt }: ReleaseState): string {
  if (state === 'asked')
    return `lacks approvals (${approvals.length} of ${approvalsNeeded}), counts until ${timeText(expiresAt)}`;
  if (state === 'logged') return `is in the key log, opens from ${opensAt === null ? 'now' : timeText(opensAt)} on`;
  if (state === 'granted') return 'was opened for who asked';
  return state === 'expired' ? 'has expired' : `was refused (${code ?? 'no reason was given'})`;
}

function lineOf(release: ReleaseState): string {
  const who = String(shownOf(release.requesterName));
  const { requestSha256, deviceName } = release;
  return `${requestSha256.slice(0, 12)}  ${who} for ${String(shownOf(deviceName))}: ${stateText(release)}`;
}

/** What somebody reads before they approve: the request as it was signed. Names are the server's word, and said to be. */
function fullText(release: ReleaseState): string {
  const request = JSON.parse(release.request) as {
    reason: string;
    caseId: string | null;
    scope: string;
    epochs: unknown;
    requesterKey: string;
    archiveId: string;
    expiresAt: string;
  };
  const { reason, caseId, scope, epochs, requesterKey, archiveId, expiresAt } = request;
  const what =
    scope === 'ring'
      ? 'the whole ring'
      : `keys that read ${epochs === 'all' ? 'all epochs' : `epochs ${String(epochs)}`}`;
  return [
    `Request   ${release.requestSha256}`,
    `Who asks  the key ${requesterKey}; the server says: ${String(shownOf(release.requesterName))} (${release.requester.kind} ${release.requester.uid})`,
    `For what  ${what} of the archive ${archiveId}, until ${timeText(expiresAt)}; the server says: of ${String(shownOf(release.deviceName))}, ${purposeTexts[release.purpose]}`,
    `Why       ${String(shownOf(reason))}${caseId === null ? '' : ` (${caseId})`}`,
    `Approved  ${release.approvals.map(({ username }) => String(shownOf(username))).join(', ') || 'by nobody'}; ${release.approvalsNeeded} needed`,
    `State     ${stateText(release)}`,
    ...(release.logIndex === null ? [] : [`Leaf      ${release.logIndex}`]),
  ].join('\n');
}

function parseEpochs(text: string): readonly number[] | 'all' {
  if (text === 'all') return 'all';
  const numbers = text.split(',').map((one) => (/^\d{1,5}$/.test(one.trim()) ? Number(one) : Number.NaN));
  const sorted = [...new Set(numbers)].toSorted((a, b) => a - b);
  if (sorted.every((one) => one >= 0 && one <= 65_535) && sorted.length <= 1_000) return sorted;
  throw new InvalidArgumentError('It must be numbers of epochs, as 0,2,3, or all.');
}

function parseDays(text: string): number {
  const days = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (days >= 1 && days <= 59) return days;
  throw new InvalidArgumentError('It must be a number from 1 to 59.');
}
