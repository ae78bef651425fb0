import { timeText } from '../figures.ts';

/** What is wrong with the key log, and what of it should have come, as the agent says it. */
export type KeyLogStanding = {
  readonly late: readonly { readonly message: string; readonly since: string; readonly remedy?: string }[];
  readonly faults: readonly {
    readonly message: string;
    readonly at: string;
    readonly lastAt: string;
    readonly count: number;
    readonly remedy?: string;
  }[];
};

/** What people read of it, each with what to do; `strong` marks the first word. */
export function keyLogLines(
  { late, faults }: KeyLogStanding,
  strong: (text: string) => string = (text) => text,
): readonly string[] {
  const said = [
    ...faults.map(({ at, lastAt, count, ...fault }) => {
      const often = count === 1 ? '' : `, ${count} times until ${timeText(lastAt)}`;
      return { ...fault, when: `${timeText(at)}${often}` };
    }),
    ...late.map(({ since, ...lateness }) => ({ ...lateness, when: `since ${timeText(since)}` })),
  ];
  return said.flatMap(({ message, when, remedy }) => [
    `${strong('key log')}  ${message} (${when})`,
    ...(remedy === undefined ? [] : [`  What to do: ${remedy}`]),
  ]);
}
