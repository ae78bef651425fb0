import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { timeText } from '../figures.ts';
import { createOutput } from '../output.ts';

type Witness = {
  readonly name: string;
  readonly key: string;
  readonly cosigned?: { readonly treeSize: number; readonly at: string; readonly note: string };
};
type Options = { readonly json?: boolean };

/** `holdfast key witness ...`: whose cosignatures this computer wants to see on the key log. */
export function registerKeyWitness(key: Command): void {
  const witness = key
    .command('witness')
    .description(
      'who has to cosign the key log of the tenant: with a witness, no server shows this computer a log of its own',
    )
    .helpCommand(false);
  witness
    .command('add')
    .description('want its cosignature: what it did not cosign for a day is said in status')
    .argument('<key>', 'its verifier key, NAME+ID+KEY, from who runs it, and not from who runs the server')
    .action(async (text: string, { json = false }: Options) => {
      const added = await ask<Witness>('key.witness-add', { key: text });
      const next = 'where the server has it cosign, too, holdfast key witness list shows that within some minutes';
      createOutput(json).result(added, `The key log has to be cosigned by ${added.name} from now on; ${next}.`);
    });
  witness
    .command('list')
    .description('list the witnesses, and the newest head of the key log that each cosigned')
    .action(async ({ json = false }: Options) => {
      const result = await ask<{ readonly witnesses: readonly Witness[] }>('key.witness-list');
      const none = 'No witness is demanded: a server could show this computer a key log of its own.';
      createOutput(json).result(result, result.witnesses.map(witnessText).join('\n') || none);
    });
  witness
    .command('remove')
    .description('want its cosignature no more')
    .argument('<name>', 'as the list shows it')
    .action(async (name: string, { json = false }: Options) => {
      const result = await ask<object>('key.witness-remove', { name });
      createOutput(json).result(result, `The cosignature of ${name} is not wanted any more.`);
    });
}

function witnessText({ name, key, cosigned }: Witness): string {
  const last = cosigned
    ? `cosigned the head over ${cosigned.treeSize} leaves at ${timeText(cosigned.at)}`
    : 'cosigned nothing that the server showed to this computer';
  return `${name}  ${last}\n  ${key}`;
}
