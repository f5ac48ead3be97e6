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
  /** Undefined: only told. */
  readonly most?: number;
}

export interface Scenario {
  readonly name: string;
  readonly run: (options: ScenarioOptions) => Promise<readonly Figure[]>;
}

export function isGood({ value, most }: Figure): boolean {
  return most === undefined || value <= most;
}
