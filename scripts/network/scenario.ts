// What a scenario of bad networks is given, and what it tells: measured figures beside what they may be at most.

export interface ScenarioOptions {
  readonly executable: string;
  /** Full length, or as short as still proves something. */
  readonly isFull: boolean;
  readonly told: (line: string) => void;
}

export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What holds on any machine, however busy. Undefined: only told. */
  readonly most?: number;
  /** What is wanted of a quiet machine: told beside the figure, and never a test's verdict. */
  readonly aim?: number;
}

export interface Scenario {
  readonly name: string;
  readonly run: (options: ScenarioOptions) => Promise<readonly Figure[]>;
}

export function isGood({ value, most }: Figure): boolean {
  return most === undefined || value <= most;
}

export function isMissed({ value, aim }: Figure): boolean {
  return aim !== undefined && value > aim;
}
