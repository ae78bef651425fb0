import path from 'node:path';
import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import type { Operator } from '@holdfast/cloud';
import { environmentFor, findHome, homeToStart } from '../config.ts';
import { timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { writeNewFile } from './new-file.ts';

const cardErrors = defineErrors('person_card', {
  exists: ['conflict', 'There is a file of that name already'],
  not_written: ['unavailable', 'The card could not be written'],
});

type Key = {
  readonly userUid: string;
  readonly username: string;
  readonly publicKey: string;
  readonly asksFrom: string;
  readonly approvesFrom: string | null;
  readonly endedAt: string | null;
};

type Add = {
  readonly tenant: string;
  readonly user: string;
  readonly publicKey: string;
  readonly approver?: boolean;
  readonly card: string;
  readonly json?: boolean;
};

/** `holdfast cloud person ...`: whose keys may ask for the keys of archives, and approve. */
export function registerPerson(cloud: Command): void {
  const person = cloud
    .command('person')
    .description('whose keys may ask for the keys of archives, and approve that others do')
    .helpCommand(false);
  person
    .command('add')
    .description(
      'register the key of a person (holdfast key person new), or change whether it approves. It counts a day later, unless it is the first key of the tenant; everybody can see it in the key log',
    )
    .requiredOption('--tenant <address>', 'whose archives they are')
    .requiredOption('--user <name>', 'user name; who is none yet becomes one, without a way to sign in')
    .requiredOption('--public-key <key>', 'as holdfast key person new shows it')
    .option('--approver', 'it may approve what others ask for; without this it may not, or no more')
    .requiredOption('--card <file>', 'file to make for the person, which is no secret; - for standard output')
    .action(add);
  person
    .command('list')
    .description('the keys of persons, and from when on they count')
    .requiredOption('--tenant <address>', 'whose they are')
    .action(async ({ tenant, json }: { readonly tenant: string; readonly json?: boolean }) => {
      const { listKeysOfPersons } = await import('@holdfast/cloud');
      const keys = await operate((operator) => listKeysOfPersons(operator, tenant));
      const text = keys.length === 0 ? 'No person has a key.' : keys.map(keyText).join('\n');
      createOutput(json ?? false).result({ keys }, text);
    });
  person
    .command('end')
    .description('end the key of a person for good: it asks for nothing more, and its approvals count no more')
    .requiredOption('--tenant <address>', 'whose it is')
    .requiredOption('--public-key <key>', 'which key')
    .action(async (options: { readonly tenant: string; readonly publicKey: string; readonly json?: boolean }) => {
      const { endKeyOfPerson } = await import('@holdfast/cloud');
      const wanted = { slug: options.tenant, publicKey: options.publicKey };
      const key = await operate((operator) => endKeyOfPerson(operator, wanted));
      createOutput(options.json ?? false).result(key, keyText(key));
    });
}

async function add({ tenant: slug, user: username, publicKey, approver, card: out, json }: Add): Promise<void> {
  const { registerPersonKey } = await import('@holdfast/cloud');
  const wanted = { slug, username, publicKey, mayApprove: approver ?? false };
  const { key, card } = await operate((operator) => registerPersonKey(operator, wanted));
  const text = `${JSON.stringify(card, undefined, 2)}\n`;
  if (out === '-') {
    process.stdout.write(text);
    return;
  }
  const file = path.resolve(out);
  writeNewFile(file, text, cardErrors);
  const next = `The person accepts it with: holdfast key person accept KEYFILE ${out}`;
  createOutput(json ?? false).result({ ...key, card: file }, `${keyText(key)}\nThe card is ${file}. ${next}`);
}

async function operate<T>(work: (operator: Operator) => Promise<T>): Promise<T> {
  const { operateCloud, readCloudConfig, silentLog } = await import('@holdfast/cloud');
  const config = readCloudConfig(environmentFor(findHome(process.cwd()) ?? homeToStart(process.cwd())));
  return operateCloud(config, { log: silentLog }, work);
}

function keyText({ username, publicKey, asksFrom, approvesFrom, endedAt }: Key): string {
  if (endedAt !== null) return `${username}  ${publicKey}: ended ${timeText(endedAt)}`;
  const approves = approvesFrom === null ? 'approves nothing' : `approves from ${timeText(approvesFrom)}`;
  return `${username}  ${publicKey}: asks from ${timeText(asksFrom)}, ${approves}`;
}
