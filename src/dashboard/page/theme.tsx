// Dark or light: as the system has it, until somebody chooses.
import { useEffect, useState } from "preact/hooks";

const KEY = "peat-theme";
const THEMES = ["system", "dark", "light"] as const;
type Theme = (typeof THEMES)[number];

function readTheme(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === kept) ?? "system";
  } catch {
    // A browser that keeps nothing.
    return "system";
  }
}

function keepTheme(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // It holds until the page is loaded again.
  }
}

export function ThemeSwitch() {
  const [theme, setTheme] = useState(readTheme);
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    keepTheme(theme);
  }, [theme]);
  return (
    <label class="theme">
      <span class="hidden">Dark or light</span>
      <select
        value={theme}
        onChange={({ currentTarget }) =>
          setTheme(THEMES.find((one) => one === currentTarget.value) ?? "system")
        }
      >
        {THEMES.map((name) => (
          <option key={name} value={name}>
            {name === "system" ? "system colours" : name}
          </option>
        ))}
      </select>
    </label>
  );
}
