//! Functions that are called with what they do not take.

use crate::names::check;

#[tokio::test]
async fn functions_say_in_one_line_what_they_take() {
    check(&[
        (
            "SELECT p50(name) FROM spans",
            "p50 takes numbers or durations, not text; write CAST(.. AS DOUBLE) where every text \
             is a number, and attr_float(attributes, 'key') where an attribute has several types",
        ),
        (
            "SELECT percentile(attributes['http.route'], 0.5) FROM spans",
            "percentile takes numbers or durations, not text; write CAST(.. AS DOUBLE) where every \
             text is a number, and attr_float(attributes, 'key') where an attribute has several \
             types",
        ),
        ("SELECT p50(is_error) FROM spans", "p50 takes numbers or durations, not Boolean"),
        (
            "SELECT ratio(name) FROM spans",
            "ratio takes one condition, as in ratio(is_error) or ratio(x > 5)",
        ),
        (
            "SELECT time_bucket(5, start_time) FROM spans",
            "time_bucket takes a width such as '1 minute', not Int64",
        ),
        (
            "SELECT time_bucket('1h', 5) FROM spans",
            "time_bucket takes a time such as start_time, not Int64",
        ),
        (
            "SELECT median(duration) FROM spans",
            "median does not take a duration; write p50(duration)",
        ),
        (
            "SELECT approx_median(duration) FROM spans",
            "approx_median does not take a duration; write p50(duration)",
        ),
        (
            "SELECT round(duration) FROM spans",
            "round does not take a duration; write round(duration_ns)",
        ),
        (
            "SELECT stddev(duration) FROM spans",
            "stddev does not take a duration; write stddev(duration_ns)",
        ),
        ("SELECT abs(duration) FROM spans", "abs does not take a duration; write abs(duration_ns)"),
    ])
    .await;
}
