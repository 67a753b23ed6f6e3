package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What a flag of a type takes, in a person's words.
var takes = map[string]string{
	"bool":     "true or false",
	"int":      "a whole number",
	"int64":    "a whole number",
	"uint":     "a whole number from 0 on",
	"uint64":   "a whole number from 0 on",
	"float64":  "a number like 0.5",
	"duration": "a time like 90s or 5m",
}

// badFlag says what is wrong with a flag on the command line.
func badFlag(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	var strange *pflag.NotExistError
	var broken *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &value):
		err = badValue("--"+value.GetFlag().Name, value.GetFlag(), value.GetValue())
	case errors.As(err, &missing):
		err = fmt.Errorf("--%s needs a value: %s", missing.GetFlag().Name, wantedBy(missing.GetFlag()))
	case errors.As(err, &strange) && cmd.HasSubCommands() && cmd.Flags().NArg() > 0: // the flag may be that command's
		err = noCommand(cmd, cmd.Flags().Args())
	case errors.As(err, &strange):
		err = noFlag(cmd, strange)
	case errors.As(err, &broken):
		err = fmt.Errorf("%q is no flag: write --NAME VALUE or --NAME=VALUE", broken.GetSpecifiedFlag())
	}
	return &usageError{cmd, err}
}

// badValue says what a flag takes; name is where the value comes from.
func badValue(name string, f *pflag.Flag, value string) error {
	return fmt.Errorf("%s %q: give %s", name, value, wantedBy(f))
}

func wantedBy(f *pflag.Flag) string {
	if words := takes[f.Value.Type()]; words != "" {
		return words
	}
	_, usage := pflag.UnquoteUsage(f)
	return usage
}

// noFlag names a flag that may have been meant. A number below 0 begins like a
// flag, and none of ours is a digit.
func noFlag(cmd *cobra.Command, err *pflag.NotExistError) error {
	letters := err.GetSpecifiedShortnames()
	if letters == "" {
		return fmt.Errorf("%s has no flag --%s%s", cmd.CommandPath(), err.GetSpecifiedName(), didYouMean(err.GetSpecifiedName(), flagNames(cmd), "--"))
	}
	if strings.Trim(letters, ".0123456789") != "" {
		return fmt.Errorf("%s has no flag -%s; what is no flag and begins with - stands behind a --", cmd.CommandPath(), letters)
	}
	if words := cmd.Annotations[belowZero]; words != "" {
		return fmt.Errorf(words, "-"+letters)
	}
	return fmt.Errorf("%q is below 0: what may be, stands behind a --", "-"+letters)
}

// belowZero annotates a command with what it says, behind %q, to an argument like
// -1.
const belowZero = "below zero"

// positive makes a command say so to an argument below 0.
func positive(cmd *cobra.Command, words string) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[belowZero] = words
	return cmd
}

// negativeAmount is what payments say to an amount below 0.
const negativeAmount = "amount %q is negative: give a number of CRN above 0"

func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// didYouMean stands behind an unknown word, with those that are close to it.
func didYouMean(word string, known []string, before string) string {
	close := closest(word, known)
	if len(close) == 0 {
		return ""
	}
	for i := range close {
		close[i] = before + close[i]
	}
	return fmt.Sprintf(" (did you mean %s?)", strings.Join(close, " or "))
}

// slips are the letters that a slip of the pen may change.
const slips = 2

// closest are the words that a slip of the pen may have meant. Cobra has the
// measure, for commands.
func closest(word string, known []string) []string {
	words := &cobra.Command{SuggestionsMinimumDistance: slips}
	for _, k := range known {
		words.AddCommand(&cobra.Command{Use: k, Run: func(*cobra.Command, []string) {}})
	}
	return words.SuggestionsFor(word)
}
