import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { systemRandom } from '@holdfast/base';
import { absolutePath } from '../agent-socket.ts';
import { commandErrors } from '../errors.ts';
import { createOutput } from '../output.ts';
import { writeNewFile } from './new-file.ts';
import { asPerson } from './key-release.ts';

/** `holdfast key person ...`: a person's own key, for asking for the keys of archives and for approving. */
export function registerKeyPerson(key: Command): void {
  const person = key
    .command('person')
    .description("a person's own key: it asks for the keys of archives, and approves that others do")
    .helpCommand(false);
  person
    .command('new <file>')
    .description(
      'make a key in a new file, readable by you alone; the operator of the server registers its public half',
    )
    .action(async (file: string, { json }: { readonly json?: boolean }) => {
      const { makePersonKey, releaseClientErrors } = await import('@holdfast/agent/releases');
      const made = makePersonKey(systemRandom);
      const written = absolutePath(file);
      writeNewFile(written, made.text, releaseClientErrors);
      const { publicKey } = made;
      const next = `On the server: holdfast cloud person add --tenant ADDRESS --user NAME --public-key ${publicKey} --card FILE`;
      createOutput(json ?? false).result({ file: written, publicKey }, `The key is ${written}: keep it. ${next}`);
    });
  person
    .command('accept <file> <card>')
    .description('keep the card that the operator made for this key: where the server is, and by what it is known')
    .action(async (file: string, card: string, { json }: { readonly json?: boolean }) => {
      const { acceptCard, releaseClientErrors } = await import('@holdfast/agent/releases');
      let text: string;
      try {
        text = readFileSync(absolutePath(card), 'utf8');
      } catch (error) {
        throw releaseClientErrors.card_invalid({ card, problem: (error as Error).message }, error);
      }
      const accepted = acceptCard(absolutePath(file), text);
      const shown = `${accepted.username} at ${accepted.url}: a key that is new counts a day after it was registered`;
      createOutput(json ?? false).result(accepted, shown);
    });
  person
    .command('show <file>')
    .description('the public half of a key, and where it is registered as far as its card says')
    .action(async (file: string, { json }: { readonly json?: boolean }) => {
      const { readCard, readPersonKey } = await import('@holdfast/agent/releases');
      const { publicKey } = readPersonKey(absolutePath(file));
      const card = readCard(absolutePath(file));
      const where = card ? `${card.username} (${card.userUid}) at ${card.url}` : 'no card was accepted yet';
      createOutput(json ?? false).result({ publicKey, card: card ?? null }, `${publicKey}\n${where}`);
    });
  person
    .command('vouch <file>')
    .description(
      'vouch with this key for a newer one, so that it need not wait for a day before it asks; it approves no sooner',
    )
    .requiredOption('--public-key <key>', 'the newer key: ask its holder, not the server')
    .option('--user <uid>', 'whose key it is: a person, by the id in its card')
    .option('--device <uid>', 'whose key it is: a computer')
    .action(async (file: string, options: Vouching) => {
      const holder = holderOf(options);
      const done = await asPerson(file, (client) => client.vouch(holder, options.publicKey));
      createOutput(options.json ?? false).result(done, `Said in the key log, leaf ${done.logIndex}.`);
    });
}

type Vouching = {
  readonly publicKey: string;
  readonly user?: string;
  readonly device?: string;
  readonly json?: boolean;
};

function holderOf({ user, device }: Vouching): { readonly kind: 'person' | 'device'; readonly uid: string } {
  if ((user === undefined) === (device === undefined)) {
    const remedy = 'name the holder: --user UID, or --device UID';
    throw commandErrors.invalid({ reason: 'one of --user and --device is needed', remedy });
  }
  return user === undefined ? { kind: 'device', uid: device! } : { kind: 'person', uid: user };
}
