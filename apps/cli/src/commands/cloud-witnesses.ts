import type { Command } from 'commander';
import type { WitnessedBy, WitnessedLog } from '@holdfast/cloud';
import { environmentFor, findHome, homeToStart } from '../config.ts';
import { timeText } from '../figures.ts';
import { createOutput } from '../output.ts';

/** `holdfast cloud witnesses`: what a witness has to know of each key log, and what each has cosigned. */
export function registerWitnesses(cloud: Command): void {
  cloud
    .command('witnesses')
    .description('show the key log of each tenant: what a witness is configured with, and what each cosigned last')
    .action(async (options: { readonly json?: boolean }) => {
      const { operateCloud, readCloudConfig, reportWitnesses, silentLog } = await import('@holdfast/cloud');
      const config = readCloudConfig(environmentFor(findHome(process.cwd()) ?? homeToStart(process.cwd())));
      const logs = await operateCloud(config, { log: silentLog }, (operator) =>
        reportWitnesses(operator, config.witnesses),
      );
      createOutput(options.json ?? false).result({ logs }, logs.map(logText).join('\n\n') || 'There is no tenant yet.');
    });
}

function logText({ tenant, origin, verifier, treeSize, witnesses }: WitnessedLog): string {
  const lines = witnesses.flatMap((witness) => witnessLines(witness, treeSize));
  return [
    `${tenant}: ${treeSize} leaves below the newest signed head`,
    `  origin   ${origin}`,
    `  key      ${verifier}`,
    ...(lines.length === 0 ? ['  no witness: HOLDFAST_WITNESSES names them'] : lines),
  ].join('\n');
}

function witnessLines({ name, url, cosigned, faults }: WitnessedBy, treeSize: number): readonly string[] {
  const where = url ?? 'configured no more, or not in this environment';
  const last = cosigned
    ? `cosigned ${cosigned.treeSize} of ${treeSize} leaves at ${timeText(cosigned.at)}`
    : 'cosigned nothing yet';
  return [
    `  witness  ${name} (${where}): ${last}`,
    ...faults.map(
      ({ fault, witnessSize, treeSize: shown, foundAt }) =>
        `           ${faultTexts[fault] ?? fault}: it knows ${witnessSize} leaves, and was shown ${shown} (${timeText(foundAt)})`,
    ),
  ];
}

const faultTexts: Readonly<Record<string, string>> = {
  set_back: 'IT HAS SEEN A LONGER LOG: this one was set back',
  forked: 'IT HAS SEEN ANOTHER LOG than the one that is here',
};
