// SPDX-License-Identifier: Apache-2.0
import js from "@eslint/js";

// What the page uses of a browser; whatever else it names is a mistake.
const BROWSER = [
  "AbortController",
  "CustomEvent",
  "Event",
  "EventTarget",
  "HTMLElement",
  "Response",
  "ResizeObserver",
  "TextDecoderStream",
  "URL",
  "clearInterval",
  "clearTimeout",
  "customElements",
  "document",
  "fetch",
  "getComputedStyle",
  "location",
  "performance",
  "sessionStorage",
  "setInterval",
  "setTimeout",
  "window",
];

// Whatever makes markup of text.
const MARKUP = [
  "innerHTML",
  "outerHTML",
  "insertAdjacentHTML",
  "write",
  "setHTMLUnsafe",
  "createContextualFragment",
];

export default [
  js.configs.recommended,
  {
    languageOptions: {
      ecmaVersion: 2022,
      globals: Object.fromEntries(BROWSER.map((name) => [name, "readonly"])),
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      complexity: ["error", 12],
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "max-lines": ["error", 400],
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-restricted-properties": [
        "error",
        ...MARKUP.map((property) => ({
          property,
          message: "Text of a service is hostile: set textContent.",
        })),
      ],
      "no-shadow": "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
